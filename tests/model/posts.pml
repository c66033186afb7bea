/* The queue of posts (poller/posts.h), for spin: PRODUCERS threads that post, two that may run the posts, segments of PLACES places that
   are used again. tests/model_test.py runs it.

   An inline is named as the function in the code. What one atomic operation does there is one atomic step here, and so is what is
   done under the lock and seen by nobody without it. Every run ends, for posts are counted: so a post that is never run is an error
   at the end, where nobody can move any more.

   Mutants, each to be found: see the #ifdefs. */
#define PRODUCERS 2
#define POSTS 3 /* of each */
#define PLACES 2
#define SEGMENTS (PRODUCERS * POSTS / PLACES + 2)
#define NOBODY 255

#define NONE 0
#define AWAITED 1
#define CALLBACK 2

#define AT(s, p) ((s) * PLACES + (p))

byte claimed[SEGMENTS], base[SEGMENTS];
byte next[SEGMENTS] = NOBODY;
byte word[SEGMENTS * PLACES], context[SEGMENTS * PLACES];
byte last, first, place, taken;
byte made = 1, spare = NOBODY;
bool locked;

chan ready = [2] of { bit };

/* What is to be proven about. */
bool running;           /* somebody is between two posts, or in one */
byte ran, expected[PRODUCERS];

inline segment__open(s, b) {
  base[s] = b;
  next[s] = NOBODY;
  claimed[s] = 0 /* last: from here on places can be claimed */
}

inline posts__grow() {
  atomic { !locked -> locked = true; old = last }
  if
  :: claimed[old] >= PLACES ->
     atomic {
       if
       :: spare != NOBODY -> fresh = spare; spare = next[fresh]
       :: else -> fresh = made; made++; assert(made <= SEGMENTS)
       fi;
       segment__open(fresh, base[old] + PLACES)
     }
     atomic { next[old] = fresh; last = fresh; old = 0; fresh = 0; locked = false }
  :: else -> atomic { old = 0; locked = false }
  fi
}

inline posts__add(value) {
  do
  :: s = last;
     atomic { p = claimed[s]; claimed[s]++ }
     if
     :: p < PLACES ->
        context[AT(s, p)] = value;
#ifdef MUTANT_STORE
        got = word[AT(s, p)];
        word[AT(s, p)] = CALLBACK;
#else
        atomic { got = word[AT(s, p)]; word[AT(s, p)] = CALLBACK }
#endif
        atomic { assert(got != CALLBACK); s = 0; p = 0 }
        break
     :: else -> atomic { s = 0; p = 0 } posts__grow()
     fi
  od
}

inline posts__turn_over() {
  atomic {
    !locked -> locked = true; done = first; place = 0;
    due = next[done] != NOBODY;
    if
    :: due ->
       first = next[done]; next[done] = spare; spare = done;
#ifdef MUTANT_OPEN_ASIDE
       claimed[done] = 0
#endif
    :: else ->
#ifndef MUTANT_NOT_AWAITED
       word[AT(done, 0)] = AWAITED;
#endif
       running = false;
       segment__open(done, base[done] + PLACES)
    fi
  }
  atomic { done = 0; locked = false }
}

inline posts__due() {
  due = true;
  if
  :: place == PLACES -> posts__turn_over()
  :: else
  fi;
  if
  :: due ->
     atomic {
       if
       :: word[AT(first, place)] != NONE
       :: else ->
          due = false;
          running = false;
#ifdef MUTANT_NO_MARK
          if
          :: claimed[first] <= place -> word[AT(first, place)] = AWAITED
          :: else /* it is claimed, so it will come */
          fi
#else
          word[AT(first, place)] = AWAITED
#endif
       fi
     }
  :: else
  fi
}

inline posts__take() {
  atomic {
    assert(word[AT(first, place)] == CALLBACK);
    value = context[AT(first, place)];
    assert(base[first] + place == taken + 1);
    word[AT(first, place)] = NONE;
    place++;
    taken++;
    assert(expected[value / POSTS] == value % POSTS); /* each thread's in order, and once */
    expected[value / POSTS]++;
    ran++;
    value = 0
  }
}

proctype producer(byte own) {
  byte s, p, got, old, fresh, i;
  do
  :: i < POSTS ->
     posts__add(own * POSTS + i);
     atomic {
       if
       :: got == AWAITED -> assert(len(ready) == 0); ready!1
       :: else
       fi;
       got = 0;
       i++
     }
  :: else -> break
  od
}

/* Two of them: a loop with threads. */
proctype runner() {
  byte done, value, in_a_row;
  bool due;
end:
  do
  :: atomic { ready?1 -> assert(!running); running = true }
     do
     :: posts__due();
        if
        :: !due -> break
        :: due && in_a_row == 2 -> /* the rest goes to the end of the line */
           atomic { running = false; due = false; ready!1 }
           break
        :: due && in_a_row < 2 -> posts__take(); in_a_row++
        fi
     od;
     in_a_row = 0
  od
}

init {
  atomic {
    base[0] = 1;
    word[0] = AWAITED;
    byte i;
    for (i : 0 .. PRODUCERS - 1) {
      run producer(i)
    }
    run runner();
    run runner()
  }
  timeout;
  assert(ran == PRODUCERS * POSTS);
  assert(taken == base[last] - 1 + (claimed[last] < PLACES -> claimed[last] : PLACES)) /* posts__added() */
}
