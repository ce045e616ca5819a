/* The handle word of go-2024 for Spin, threads counted by hand: one process, and for each place
 * the number of threads there.  Load and compare-and-swap are one step.  What Spin cannot find by
 * itself, thread symmetry and the fused step, is given to it here.
 *
 *   -DN=16           how many threads: one Wait, one Release, the others Signal
 *   -DMIXED          or: each picks one of the three
 */
#ifndef N
#define N 3
#endif
#ifdef MIXED
byte undecided = N, signals = 0, waits = 0, releases = 0;
#else
byte signals = N - 2, waits = 1, releases = 1;
#endif
byte sending = 0, reaping = 0, winner = 0, leaving = 0;   /* these hold a reference */
byte last_user = 0, last_owner = 0;                       /* these are about to close */
byte refs = 1, status = 0, reaped = 0, handle = 0;        /* handle: ours, closed, reused */

#define SOUND assert(refs == sending + reaping + winner + leaving + (status == 0))
#define TOUCH assert(handle == 0)
#define LEGAL assert(refs > 1 || (refs == 1 && status != 0))

active proctype Threads() {
end_all:
  do
#ifdef MIXED
  :: d_step { undecided > 0 -> undecided--; signals++ }
  :: d_step { undecided > 0 -> undecided--; waits++ }
  :: d_step { undecided > 0 -> undecided--; releases++ }
#endif
  /* acquire, or be refused */
  :: d_step { signals > 0 && status == 0 -> signals--; sending++; refs++; SOUND }
  :: d_step { signals > 0 && status != 0 -> signals-- }
  :: d_step { waits > 0 && status == 0 -> waits--; reaping++; refs++; SOUND }
  :: d_step { waits > 0 && status != 0 -> waits-- }
  /* use the handle */
  :: d_step { sending > 0 -> TOUCH; sending--; leaving++ }
  :: d_step { reaping > 0 && !reaped -> TOUCH; reaped = 1; reaping--; winner++ }
  :: d_step { reaping > 0 && reaped -> TOUCH; reaping--; leaving++ }
  /* drop the persistent reference */
  :: d_step { winner > 0 && status == 0 -> assert(refs > 1);
              refs--; status = 1; winner--; leaving++; SOUND }
  :: d_step { winner > 0 && status != 0 -> winner--; leaving++ }
  :: d_step { releases > 0 && status == 0 && refs > 1 -> refs--; status = 2; releases--; SOUND }
  :: d_step { releases > 0 && status == 0 && refs == 1 ->
              refs--; status = 2; releases--; last_owner++; SOUND }
  :: d_step { releases > 0 && status != 0 -> releases-- }
  /* drop a transient one */
  :: d_step { leaving > 0 && refs != 1 -> LEGAL; refs--; leaving--; SOUND }
  :: d_step { leaving > 0 && refs == 1 -> LEGAL; refs--; leaving--; last_user++; SOUND }
  /* close; then the number is somebody else's */
  :: d_step { last_user > 0 -> TOUCH; handle = 1; last_user-- }
  :: d_step { last_owner > 0 -> TOUCH; handle = 1; last_owner-- }
  :: d_step { handle == 1 -> handle = 2 }
  :: d_step { timeout -> assert((status == 0) == (handle == 0) && refs == (status == 0)) }; break
  od
}
