/* The handle word of go-2024 for Spin, written by hand: load and compare-and-swap are two steps.
 *
 *   -DN=5            how many threads: one Wait, one Release, the others Signal
 *   -DMIXED          or: each picks one of the three
 *
 * Tuned for Spin: one d_step per atomic action, a loaded value is forgotten as soon as it is dead,
 * Wait and Signal share the code of the transient release, and a thread that has returned stays (a
 * process that dies would make states of its own).  The process behind the handle has ended.
 *
 *   word = status * 64 + references      status 1: done, 2: released
 */
#ifndef N
#define N 3
#endif
#define LIVE(w)  ((w) < 64)
#define COUNT(w) ((w) & 63)
#define DONE     64
#define RELEASED 128

mtype:number = { ours, closed, reused };
mtype:number handle = ours;
byte word = 1;
byte users = 0;   /* a ghost: it follows from where the threads are */
bit reaped = 0;

#define SOUND assert(COUNT(word) == users + LIVE(word) && word < 192)
#define TOUCH assert(handle == ours)

#define acquire(refused) \
  do \
  :: d_step { !LIVE(word) -> skip }; goto refused \
  :: d_step { LIVE(word) -> seen = word }; \
     if \
     :: d_step { word == seen -> seen = 0; word++; users++; SOUND }; break \
     :: d_step { word != seen -> seen = 0 } \
     fi \
  od

#define use if :: d_step { TOUCH } fi   /* in an if, for d_steps are not jumped into */
#define shut d_step { TOUCH; handle = closed }

#define drop_transient \
  do \
  :: d_step { assert(COUNT(word) > 1 || (COUNT(word) == 1 && !LIVE(word))); seen = word }; \
     if \
     :: d_step { word == seen && COUNT(seen) > 1 -> seen = 0; word--; users--; SOUND }; break \
     :: d_step { word == seen && COUNT(seen) == 1 -> seen = 0; word--; users--; SOUND }; \
        shut; break \
     :: d_step { word != seen -> seen = 0 } \
     fi \
  od

#define drop_persistent(reason) \
  do \
  :: d_step { !LIVE(word) -> skip }; break \
  :: d_step { LIVE(word) -> assert(COUNT(word) > 0); seen = word }; \
     if \
     :: d_step { word == seen && COUNT(seen) > 1 -> word = seen - 1 + reason; seen = 0; SOUND }; \
        break \
     :: d_step { word == seen && COUNT(seen) == 1 -> word = seen - 1 + reason; seen = 0; SOUND }; \
        shut; break \
     :: d_step { word != seen -> seen = 0 } \
     fi \
  od

#define wait_body \
  acquire(end_back); \
  if \
  :: d_step { !reaped -> TOUCH; reaped = 1 }; drop_persistent(DONE) \
  :: d_step { reaped -> TOUCH } \
  fi

#ifdef MIXED
active [N] proctype Any() {
  byte seen = 0;
  if
  :: goto signalling
  :: goto waiting
  :: goto releasing
  fi;
releasing:
  drop_persistent(RELEASED); goto end_back;
signalling:
  acquire(end_back); use; goto finish;
waiting:
  wait_body;
finish:
  drop_transient;
end_back: false
}
#else
active [N - 2] proctype Signal() {
  byte seen = 0;
  acquire(end_back); use; drop_transient;
end_back: false
}
active proctype Wait() {
  byte seen = 0;
  wait_body; drop_transient;
end_back: false
}
active proctype Release() {
  byte seen = 0;
  drop_persistent(RELEASED);
end_back: false
}
#endif

/* Whoever opens a file next gets the number; and when all is over, the handle is closed or live. */
active proctype Kernel() {
end_kernel:
  do
  :: d_step { handle == closed -> handle = reused }
  :: d_step { timeout -> assert(LIVE(word) == (handle == ours) && COUNT(word) == LIVE(word)) };
     break
  od
}
