/* The life of a handle and of its operations, for spin: one handle's slot that lives twice, SLOTS operation slots, and everybody who
   may have a hand in them at the same time. tests/model_test.py runs it.

   An inline is named as the function in the code whose exchange it makes; what one atomic exchange does there is one atomic step here.
   A loop around an exchange needs no loop here: the one round that succeeds is the step. What the model leaves out:
   not here: op__hold_more   io_uring's cancel request is a canceller like any other
   not here: op__hold_in_kernel  who looks at a signalled event: as op__hold
   not here: handle__open_with  as handle__open, with a first operation in flight that is a file's opening
   not here: multishot__due  a chunk on its way to a callback: the kernel's party stays, so for the word nothing has happened yet
   not here: slab__grow      slots that nobody has seen yet

   Every run ends, for submits are counted. So "never" is an error at the end, where nobody can move any more. A pending call
   ends by itself or, where it is stuck, only when its end is asked for.

   Variants: WORKERS (a worker stands in for the kernel, as for blocking handles), AWAY (the submitter keeps no party, as where a ring is the
   submitting thread's), MOVED (where the handle is
   decides whether an operation ends by a packet or by an event, and somebody moves it), GATED (nobody knows yet what the handle is: operations
   wait at its gate for an answer that comes or does not). Mutants, each to be found: see the #ifdefs. */
#define SLOTS 1
#define SUBMITS 2
#define NONE 255

/* An operation's word, field by field. */
byte generation[SLOTS], parties[SLOTS];
bool kernel[SLOTS], started[SLOTS], cancelled[SLOTS], early[SLOTS];
/* The rest of its slot. */
byte life[SLOTS];   /* of which of the handle's generations it is */
byte ticket[SLOTS]; /* the submit that it stands for */
bool more[SLOTS];   /* another piece is to come */
bool slot_free[SLOTS] = true;

/* The kernel's side of it: PENDING is when it may write. */
mtype = { IDLE, PENDING, FINAL };
mtype at[SLOTS] = IDLE;
bool stuck[SLOTS], asked[SLOTS], in_call[SLOTS];

/* The handle's word. */
byte h_generation, h_flights;
bool h_live, h_closing, h_moving;

/* Whether it is on Pier's port; and of each operation whether its call was made off it: then an event is set at its end, and no packet comes. */
#ifdef MOVED
bool h_on, tagged[SLOTS];
chan events = [4] of { byte };
#define IS_TAGGED(s) tagged[s]
#else
#define IS_TAGGED(s) false
#endif

/* The gate: whether it is closed, and which operations wait there. */
#ifdef GATED
bool h_gated = true;
#else
bool h_gated;
#endif
bool waits[SLOTS];

chan packets = [4] of { byte, byte };      /* slot, key: the handle's generation */
mtype = { READY_OPERATION, READY_CLOSE };
chan due = [4] of { mtype, byte };         /* one handle, one strand */

/* What is to be proven about. */
byte submitted, called_back;
bool has_called[SUBMITS];
byte closes, closed;
byte id_slot = NONE, id_generation; /* of the first submit: what a canceller and a deadline were given */

inline slot__end(s) {
  atomic {
    assert(at[s] != PENDING); /* the kernel may write there */
    assert(parties[s] == 0 && !slot_free[s] && !in_call[s]);
    generation[s]++;
    kernel[s] = false; started[s] = false; cancelled[s] = false; early[s] = false;
#ifdef MOVED
    tagged[s] = false;
#endif
    at[s] = IDLE; asked[s] = false;
    slot_free[s] = true
  }
}

inline op__leave(s, count) {
  atomic {
    assert(parties[s] >= count);
    parties[s] = parties[s] - count;
    if
    :: parties[s] == 0 -> due!READY_OPERATION(s)
    :: else
    fi
  }
}

/* An operation that waits at the gate is ended by whoever finds it there. */
inline gate__give_up(s) {
  if
  :: waits[s] ->
     waits[s] = false;
     assert(kernel[s]);
     kernel[s] = false;
     parties[s]--;
     if
     :: parties[s] == 0 -> due!READY_OPERATION(s)
     :: else
     fi
  :: else
  fi
}

inline op__ask_system(s, meant) {
  atomic {
    assert(generation[s] == meant); /* never somebody else's operation */
    gate__give_up(s);
    asked[s] = asked[s] || at[s] == PENDING
  }
}

inline op__bind(s, key) { life[s] = key }

/* Nobody can have found it before. */
inline op__publish(s) {
  atomic {
    assert(parties[s] == 0 && !kernel[s]);
    parties[s] = 2; kernel[s] = true
  }
}

/* Nor this; and here the kernel is alone with it. */
inline op__give_away(s) {
  atomic {
    assert(parties[s] == 0 && !kernel[s]);
    parties[s] = 1; kernel[s] = true; started[s] = true
  }
}

/* A file's call that need not wait: to the callback without a party. */
inline op__end_at_once(s) {
  atomic {
    assert(parties[s] == 0 && !kernel[s] && at[s] == IDLE);
    due!READY_OPERATION(s)
  }
}

inline op__claim_here(s) { atomic { kernel[s] = false; early[s] = false } }

/* Of one that ended inside its call; its port may have settled it already, and then nobody has claimed it. */
inline op__leave_at_once(s) {
  atomic {
    assert(parties[s] >= 2);
    kernel[s] = false; early[s] = false;
    parties[s] = parties[s] - 2;
    if
    :: parties[s] == 0 -> due!READY_OPERATION(s)
    :: else
    fi
  }
}

inline op__expect(s) { atomic { at[s] = IDLE; kernel[s] = true } }

/* A call that says "pending" may be over before it returns. */
inline port__submit(s, done) {
  atomic {
    assert(!in_call[s]); /* two at one operation: the second writes over what the first one's call reads */
    assert(at[s] != PENDING && h_generation == life[s] && !h_moving);
    asked[s] = false;
#ifdef MOVED
    tagged[s] = !h_on;
#endif
    if
    :: done = true; at[s] = FINAL
    :: done = false; at[s] = PENDING; in_call[s] = true;
       if
       :: stuck[s] = true
       :: stuck[s] = false
       fi
    fi
  }
  if
  :: !done -> in_call[s] = false /* the call has returned */
  :: else
  fi
}

/* Under the ring's lock, which cancels come by too. One whose end is asked for is settled there. */
inline port__submit_away(s, done) {
  atomic {
    assert(at[s] != PENDING && h_generation == life[s] && !h_moving);
#ifdef MUTANT_AWAY_NO_RECHECK
    done = false;
#else
    done = cancelled[s] || h_closing;
#endif
    if
    :: done
    :: else ->
       at[s] = PENDING;
       if
       :: stuck[s] = true
       :: stuck[s] = false
       fi
    fi
  }
  if
  :: done -> op__complete_settled(s)
  :: else
  fi
}

/* Ends with `was_early` set if the submitter has to go on with it. */
inline op__submitted(s, was_early) {
#ifdef MUTANT_NO_RECHECK
  was_asked = true;
#else
  was_asked = h_closing;
  if
  :: was_asked -> op__ask_system(s, generation[s])
  :: else
  fi;
#endif
  do
  :: cancelled[s] && !was_asked -> was_asked = true; op__ask_system(s, generation[s])
  :: atomic {
       (!cancelled[s] || was_asked) ->
       started[s] = true;
       was_early = early[s];
       if
       :: was_early -> early[s] = false; kernel[s] = false
       :: else ->
          parties[s]--;
          if
          :: parties[s] == 0 -> due!READY_OPERATION(s)
          :: else
          fi
       fi
     };
     break
  od
}

/* op__progress(): another piece, unless somebody asked for the end. */
#define GOES_ON(s) (more[s] && !cancelled[s] && !h_closing)

inline op__launch_again(s) {
  atomic { at[s] = IDLE; more[s] = false; kernel[s] = true; started[s] = false; parties[s]++ }
}

/* op__launch() and op__settle(), which call each other. A submitter who was told early keeps his party to the last: `owed`. */
inline op__launch(s) {
  owed = 0;
  do
  :: port__submit(s, done);
     if
     :: done && !more[s] -> op__leave_at_once(s); break
     :: done ->
        op__claim_here(s);
        if
        :: GOES_ON(s) -> more[s] = false; op__expect(s)
        :: else -> op__leave_at_once(s); break
        fi
     :: else ->
        op__submitted(s, was_early);
        if
        :: !was_early -> break
        :: else ->
           owed++;
           if
           :: GOES_ON(s) -> op__launch_again(s)
           :: else -> op__leave(s, 1); break
           fi
        fi
     fi
  od;
  do
  :: owed > 0 -> owed--; op__leave(s, 1)
  :: else -> break
  od
}

inline op__settle(s) {
  if
  :: GOES_ON(s) -> op__launch_again(s); op__launch(s)
  :: else -> op__leave(s, 1)
  fi
}

/* Through the gate, unless somebody asked for the end meanwhile. */
inline op__relaunch(s) {
  if
  :: cancelled[s] || h_closing ->
     atomic { assert(kernel[s]); kernel[s] = false } /* op__complete() */
     op__leave(s, 1)
  :: else -> op__launch_again(s); op__launch(s)
  fi
}

/* The submitter has settled. */
inline port__hold_back(s, passes) {
  atomic {
#ifdef MUTANT_GATE_NO_RECHECK
    passes = !h_gated;
#else
    passes = !h_gated || cancelled[s] || h_closing;
#endif
    waits[s] = !passes
  }
  if
  :: passes -> op__relaunch(s)
  :: else
  fi
}

inline gate__next(passes) {
  atomic {
    passes = waits[0];
    waits[0] = false;
    h_gated = h_gated && passes
  }
}

#define CLAIM_NONE 0
#define CLAIM_EARLY 1
#define CLAIMED 2

inline op__claim_as(s, key, by_event, claim) {
  atomic {
    if
    :: !kernel[s] || at[s] != FINAL || IS_TAGGED(s) != by_event || (!by_event && life[s] != key) -> claim = CLAIM_NONE
#ifdef MUTANT_NO_EARLY
    :: else -> claim = CLAIMED; kernel[s] = false
#else
    :: else ->
       if
       :: started[s] -> claim = CLAIMED; kernel[s] = false
       :: else -> claim = CLAIM_EARLY; early[s] = true
       fi
#endif
    fi
  }
}

inline op__complete_settled(s) {
  atomic {
    assert(kernel[s] && parties[s] >= 1);
    kernel[s] = false;
    parties[s]--;
    if
    :: parties[s] == 0 -> due!READY_OPERATION(s)
    :: else
    fi
  }
}

inline op__complete(s) {
  if
  :: !more[s] -> op__complete_settled(s)
  :: atomic { assert(kernel[s]); kernel[s] = false }
     op__settle(s)
  fi
}

inline op__cancel(s, meant) {
  held = false;
  atomic {
    if
    :: generation[s] == meant && parties[s] > 0 ->
       held = true; before = started[s]; cancelled[s] = true;
#ifndef MUTANT_CANCELLER_NO_PARTY
       parties[s]++
#endif
    :: else
    fi
  }
  op__ask(s, meant)
}

inline op__ask(s, meant) {
  if
  :: held && before -> op__ask_system(s, meant)
  :: else
  fi;
#ifndef MUTANT_CANCELLER_NO_PARTY
  if
  :: held -> op__leave(s, 1)
  :: else
  fi
#endif
}

inline op__hold(s) {
  atomic {
    held = parties[s] > 0;
    if
    :: held -> parties[s]++; meant = generation[s]
    :: else
    fi
  }
}

inline op__cancel_each(key) {
  s = 0;
  do
  :: s < SLOTS ->
     op__hold(s);
     if
     :: held && life[s] == key ->
        atomic { before = started[s] && !cancelled[s]; cancelled[s] = true }
        if
        :: before -> op__ask_system(s, meant)
        :: else
        fi
     :: else
     fi;
     if
     :: held -> op__leave(s, 1)
     :: else
     fi;
     s++
  :: else -> break
  od
}

/* ---- The handle ---- */

inline handle__open() { h_live = true }

inline handle__enter(key, entered) {
  atomic {
    /* Waits while the handle is being moved. */
    !(h_generation == key && h_live && !h_closing && h_moving);
    entered = h_generation == key && h_live && !h_closing;
    if
    :: entered -> h_flights++
    :: else
    fi
  }
}

inline handle__leave() {
  atomic {
    assert(h_flights > 0);
    h_flights--;
    if
    :: h_flights == 0 && h_closing -> due!READY_CLOSE(h_generation)
    :: else
    fi
  }
}

inline handle__mark_closing(key) {
  atomic {
    !h_moving;
    assert(h_generation == key && h_live && !h_closing);
    h_closing = true;
    h_flights++
  }
}

inline association__begin(key, may) {
  atomic {
    may = h_generation == key && h_live && !h_closing && h_flights == 0 && !h_moving;
#ifndef MUTANT_MOVE_IN_TWO
    h_moving = h_moving || may
#endif
  }
#ifdef MUTANT_MOVE_IN_TWO
  h_moving = h_moving || may
#endif
}

inline association__end() { h_moving = false }

#ifdef MOVED
inline association__take_off() { h_on = false }
inline association__put_on() { h_on = true }
#endif

/* ---- Who does all that ---- */

/* Nobody has an id before it was given out. */
#define OPENED(key) (h_generation > key || (h_generation == key && h_live))

proctype submitter(byte number; byte key) {
  bool entered, done, was_asked, was_early, gated;
  byte s, owed;
  OPENED(key);
  atomic { /* op__acquire(); without a slot the call is refused and nothing was submitted */
    s = 0;
    do
    :: s < SLOTS && !slot_free[s] -> s++
    :: else -> break
    od;
    if
    :: s == SLOTS -> goto out
    :: else ->
       assert(at[s] == IDLE);
       slot_free[s] = false; ticket[s] = number; submitted++;
       if
       :: more[s] = true
       :: more[s] = false
       fi
    fi
  }
  handle__enter(key, entered);
  if
  :: entered ->
     op__bind(s, key);
     gated = h_gated;
     if
     :: !gated -> op__end_at_once(s); goto out
     :: true
     fi;
#ifdef AWAY
     op__give_away(s);
#else
     op__publish(s);
#endif
     atomic {
       if
       :: number == 0 -> id_slot = s; id_generation = generation[s] /* the timer, and whoever cancels, know it before the launch */
       :: else
       fi
     }
#ifdef AWAY
     port__submit_away(s, done)
#else
     if
     :: gated -> op__submitted(s, was_early); port__hold_back(s, gated)
     :: else -> op__launch(s)
     fi
#endif
  :: else -> atomic { life[s] = NONE; due!READY_OPERATION(s) } /* op__refuse() */
  fi;
out:
  skip
}

/* A canceller and a deadline come alike: by the id, at any time. */
proctype canceller() {
  bool held, before;
  end: id_slot != NONE;
  op__cancel(id_slot, id_generation)
}

proctype mover() {
  bool may;
  OPENED(0);
  association__begin(0, may);
  if
  :: may ->
     assert(h_flights == 0 && h_generation == 0);
#ifdef MOVED
     if
     :: h_on -> association__take_off()
     :: else -> association__put_on()
     fi;
#endif
     association__end()
  :: else
  fi
}

/* Opens, closes, opens again in the same slot as soon as that is free, and closes. */
proctype owner() {
  bool held, before;
  byte s, meant, key;
  do
  :: key < 2 ->
     (h_generation == key && !h_live);
     handle__open();
     closes++;
     handle__mark_closing(key);
     if
     :: h_flights > 1 ->
        if
#ifndef GATED
        :: atomic { /* port__cancel_all(), on handles that Pier opened */
             s = 0;
             do
             :: s < SLOTS -> asked[s] = asked[s] || (at[s] == PENDING && life[s] == key); s++
             :: else -> break
             od
           }
#endif
        :: op__cancel_each(key)
        fi
     :: else
     fi;
     handle__leave();
     key++
  :: else -> break
  od
}

/* The kernel, or the worker in its place. */
proctype system() {
  bool done, was_asked, was_early;
  byte s, owed;
end:
  do
  :: atomic {
       at[0] == PENDING && (!stuck[0] || asked[0]) ->
       s = 0; at[s] = FINAL;
       if
       :: asked[s] -> more[s] = false
       :: !stuck[s]
       fi;
#ifndef WORKERS
#ifdef MOVED
       assert(tagged[s] == !h_on); /* what was started there ends there */
       if
       :: tagged[s] -> events!s
       :: else -> packets!s(life[s])
       fi
#else
       packets!s(life[s])
#endif
#endif
     }
#ifdef WORKERS
     in_call[s] = false; /* it was in a queue, and there is no structure that the submitter still reads */
     op__complete(s)
#endif
  od
}

/* A thread that takes packets off the port, or is told of events. */
proctype poller() {
  bool done, was_asked, was_early;
  byte s, owed, key, claim;
end:
  do
  :: packets?s(key) ->
     if
     :: h_generation == key ->
        op__claim_as(s, key, false, claim);
        if
        :: claim == CLAIMED -> op__settle(s)
        :: else
        fi
     :: else
     fi
#ifdef MOVED
  :: events?s ->
     op__claim_as(s, NONE, true, claim);
     if
     :: claim == CLAIMED -> op__settle(s)
     :: else
     fi
#endif
  od
}

/* Who asks what the handle is, when it was used. */
proctype asker() {
  bool done, was_asked, was_early, passes;
  byte owed;
end:
  do
  :: waits[0] ->
     do
     :: gate__next(passes);
        if
        :: passes -> op__relaunch(0)
        :: else -> break
        fi
     od
  od
}

/* A packet that somebody made up: the pointer is right, and the time may be. Or an event that an operation has left behind which ended inside
   its call. */
#ifdef MOVED
proctype forger() { events!0 }
#else
proctype forger() { packets!0(0) }
#endif

/* The strand: one callback after the other. */
proctype runner() {
  byte s;
end:
  do
  :: due?READY_OPERATION(s) ->
     atomic {
       assert(!has_called[ticket[s]]); /* not twice */
       assert(at[s] != PENDING);       /* nor while its buffer is written to */
       has_called[ticket[s]] = true;
       called_back++
     }
     if
     :: life[s] != NONE ->
        assert(life[s] == h_generation && h_live); /* nor after its handle's last */
        handle__leave()
     :: else
     fi;
     slot__end(s)
  :: due?READY_CLOSE(s) ->
     atomic {
       assert(s == h_generation && h_flights == 0 && closed == s);
       closed++;
       h_generation++;
       h_live = false; h_closing = false;
#ifdef GATED
       h_gated = true /* the next one has a gate of its own */
#endif
     }
  od
}

init {
  atomic {
    run owner(); run system(); run runner();
#ifndef WORKERS
    run poller();
#endif
    run submitter(0, 0);
#ifdef GATED
    if
    :: run asker()
    :: skip /* the answer never comes */
    fi;
#endif
    if
    :: run submitter(1, 0)
    :: run submitter(1, 1) /* on what lives in the slot after the close */
    fi;
#ifdef MOVED
    if
    :: h_on = true
    :: skip
    fi;
    if
    :: run mover()
    :: run forger()
    fi
#else
    if /* one of them at a time: all three at once multiply the states and meet nowhere */
    :: run canceller()
    :: run mover()
    :: run forger()
    fi
#endif
  }
  timeout;
  assert(called_back == submitted); /* not "never" */
  assert(closes == 2 && closed == 2);
  assert(h_flights == 0 && slot_free[0])
}
