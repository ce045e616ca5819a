/* Adapter for plain pids in C: wait4 and mark done; a signal looks at the mark, then kills.
 *
 * Between the look and the kill the pid may be reaped and given to another process: the race from
 * which all the rest came (go issue 13987).  Source: wait4(2), kill(2).
 */
#include "adapter.h"

struct process {
    pid_t pid;
    _Atomic int done;
};

static const char about[] =
    "\"implementation\":\"c pid\",\"version\":\"1\",\"specification\":\"pid-naive/linux-pid\","
    "\"capabilities\":[\"start\",\"wait\",\"signal\",\"kill\",\"reap\",\"exit-status\","
    "\"concurrent\"]";

static void perform(struct asked *asked, char *answer, size_t size) {
    const char *op = asked->op;
    snprintf(answer, size, "\"outcome\":\"nil\"");
    if (!strcmp(op, "start")) {
        pid_t pid = spawn(asked->argv);
        if (pid < 0) {
            failed(answer, size, NULL, -pid);
            return;
        }
        struct process *made = malloc(sizeof *made);
        made->pid = pid;
        made->done = 0;
        process_of(asked, made, 0);
        snprintf(answer, size, "\"outcome\":\"nil\",\"pid\":%d", pid);
        return;
    }
    struct process *process = process_of(asked, NULL, !strcmp(op, "drop"));
    if (!process)
        return;
    if (!strcmp(op, "wait")) {
        int status;
        pid_t result;
        do
            result = wait4(process->pid, &status, 0, NULL);
        while (result < 0 && errno == EINTR);
        if (result < 0) {
            failed(answer, size, "wait", errno);
            return;
        }
        process->done = 1;
        if (WIFSIGNALED(status))
            snprintf(answer, size, "\"outcome\":\"ok\",\"exit_signal\":%d", WTERMSIG(status));
        else
            snprintf(answer, size, "\"outcome\":\"ok\",\"exit_code\":%d", WEXITSTATUS(status));
    } else if (!strcmp(op, "signal") || !strcmp(op, "kill")) {
        if (process->done)
            snprintf(answer, size, "\"outcome\":\"EPD\",\"native\":\"done\"");
        else
            signalled(answer, size,
                      kill(process->pid, !strcmp(op, "kill") ? SIGKILL : (int)asked->signal));
    } else if (!strcmp(op, "reap")) {
        if (waitpid(process->pid, NULL, 0) < 0)
            failed(answer, size, "waitpid", errno);
        else
            snprintf(answer, size, "\"outcome\":\"ok\"");
    }
}
