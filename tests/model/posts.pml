/* The queue of posts (poller/posts.h), for spin: PRODUCERS threads that post, two that may run the posts, segments of PLACES places that
   are used again. tests/model_test.py runs it.

   An inline is named as the function in the code. What one atomic operation does there is one atomic step here, and so is what is
   done under the lock and seen by nobody without it. Posts are counted: so a post that is never run is an error at the end,
   where nobody can move any more. (A runner may look at a late one for ever, but only as long as that one does not move.)

   Mutants, each to be found: see the #ifdefs. */
#define PRODUCERS 2
#define POSTS 3 /* of each */
#define PLACES 2
#define SEGMENTS (PRODUCERS * POSTS / PLACES + 2)
#define NOBODY 255

#define NONE 0
#define CALLBACK 1

#define AT(s, p) ((s) * PLACES + (p))

/* The two halves of a segment's claims: how many, and which one is awaited, counted from 1. */
byte claims[SEGMENTS], awaited[SEGMENTS];
byte base[SEGMENTS];
byte next[SEGMENTS] = NOBODY;
bit callback[SEGMENTS * PLACES];
byte context[SEGMENTS * PLACES];
byte last, first, place, taken;
byte made = 1, spare = NOBODY;
bool locked;

chan ready = [2] of { bit };

/* What is to be proven about. */
bool running;           /* somebody is between two posts, or in one */
byte ran, expected[PRODUCERS];

inline segment__open(s, b, a) {
  base[s] = b;
  next[s] = NOBODY;
  awaited[s] = a;
  claims[s] = 0 /* last: from here on places can be claimed */
}

inline posts__grow() {
  atomic { !locked -> locked = true; old = last }
  if
  :: claims[old] >= PLACES ->
     atomic {
       if
       :: spare != NOBODY -> fresh = spare; spare = next[fresh]
       :: else -> fresh = made; made++; assert(made <= SEGMENTS)
       fi;
       segment__open(fresh, base[old] + PLACES, 0)
     }
     atomic { next[old] = fresh; last = fresh; old = 0; fresh = 0; locked = false }
  :: else -> atomic { old = 0; locked = false }
  fi
}

inline posts__claim() {
  s = last;
#ifdef MUTANT_CLAIM_IN_TWO
  atomic { p = claims[s]; told = awaited[s] == p + 1 }
  claims[s] = p + 1;
#else
  atomic { p = claims[s]; told = awaited[s] == p + 1; claims[s]++ }
#endif
}

inline posts__publish(value) {
  context[AT(s, p)] = value;
  atomic {
    assert(callback[AT(s, p)] == NONE);
    callback[AT(s, p)] = CALLBACK;
    s = 0;
    p = 0
  }
}

inline posts__turn_over() {
  atomic {
    !locked -> locked = true; done = first; place = 0;
    due = next[done] != NOBODY;
    if
    :: due ->
       first = next[done]; next[done] = spare; spare = done;
#ifdef MUTANT_OPEN_ASIDE
       claims[done] = 0
#endif
    :: else ->
       running = false;
#ifdef MUTANT_NOT_AWAITED
       segment__open(done, base[done] + PLACES, 0)
#else
       segment__open(done, base[done] + PLACES, 1)
#endif
    fi
  }
  atomic { done = 0; locked = false }
}

/* There is nothing at the front: due remains true if the posts stay in the runner's hands. */
inline posts__leave() {
#ifdef MUTANT_LEAVE_IN_TWO
  if
  :: claims[first] == place -> atomic { claims[first] = place; awaited[first] = place + 1; due = false; running = false }
  :: else -> late = true
  fi
#else
  atomic {
    if
    :: claims[first] == place -> awaited[first] = place + 1; due = false; running = false
#ifdef MUTANT_LEAVE_A_LATE_ONE
    :: else -> awaited[first] = place + 1; due = false; running = false
#else
    :: else -> late = true
#endif
    fi
  }
#endif
}

inline posts__look() {
  due = true;
  if
  :: place == PLACES -> posts__turn_over()
  :: else
  fi;
  if
  :: due ->
     if
     :: callback[AT(first, place)] == CALLBACK
     :: else -> posts__leave()
     fi
  :: else
  fi
}

inline posts__take() {
  atomic {
    assert(callback[AT(first, place)] == CALLBACK);
    value = context[AT(first, place)];
    assert(base[first] + place == taken + 1);
    callback[AT(first, place)] = NONE;
    place++;
    taken++;
    assert(expected[value / POSTS] == value % POSTS); /* each thread's in order, and once */
    expected[value / POSTS]++;
    ran++;
    value = 0
  }
}

proctype producer(byte own) {
  byte s, p, old, fresh, i;
  bool told;
  do
  :: i < POSTS ->
     do
     :: posts__claim();
        if
        :: p < PLACES ->
           posts__publish(own * POSTS + i);
           break
        :: else -> atomic { s = 0; p = 0; told = false } posts__grow()
        fi
     od;
     atomic {
       if
       :: told -> assert(len(ready) == 0); ready!1
       :: else
       fi;
       told = false;
       i++
     }
  :: else -> break
  od
}

/* Two of them: a loop with threads. */
proctype runner() {
  byte done, value, in_a_row;
  bool due, late;
end:
  do
  :: atomic { ready?1 -> assert(!running); running = true }
     do
     :: posts__look();
        if
        :: !due -> break
        :: due && (late || in_a_row == 2) -> /* to the end of the line, or with a late one to a timer: somebody comes back to it */
           atomic { running = false; due = false; late = false; ready!1 }
           break
        :: due && !late && in_a_row < 2 -> posts__take(); in_a_row++
        fi
     od;
     in_a_row = 0
  od
}

init {
  atomic {
    base[0] = 1;
    awaited[0] = 1;
    byte i;
    for (i : 0 .. PRODUCERS - 1) {
      run producer(i)
    }
    run runner();
    run runner()
  }
  timeout;
  assert(ran == PRODUCERS * POSTS);
  assert(taken == base[last] - 1 + (claims[last] < PLACES -> claims[last] : PLACES)) /* posts__added() */
}
