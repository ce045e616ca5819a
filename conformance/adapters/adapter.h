/* The protocol's side of an adapter in C: one line in, one thread per operation, lines out.
 *
 * The suite promises one object a line, without spaces or escapes, so `"key":` can be looked for.
 * The including file defines `about` and `perform`, which writes the answer's fields.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST_ARGUMENTS 16
#define NAME_LENGTH 64

struct asked {
    long id, pid, signal;
    char op[NAME_LENGTH], process[NAME_LENGTH];
    char *argv[MOST_ARGUMENTS + 1];
    char line[8192];
};

extern char **environ;
static const char about[];
static void perform(struct asked *asked, char *answer, size_t size);

static FILE *incoming, *outgoing;

static const char *value_of(const char *line, const char *key) {
    char wanted[NAME_LENGTH];
    snprintf(wanted, sizeof wanted, "\"%s\":", key);
    const char *found = strstr(line, wanted);
    return found ? found + strlen(wanted) : NULL;
}

static long number_of(const char *line, const char *key) {
    const char *value = value_of(line, key);
    return value ? strtol(value, NULL, 10) : 0;
}

static void text_of(const char *line, const char *key, char text[NAME_LENGTH]) {
    const char *value = value_of(line, key);
    text[0] = 0;
    if (value && *value == '"')
        sscanf(value + 1, "%63[^\"]", text);
}

/* Cuts the line's array of strings up, in place: it is the last thing to be read of the line. */
static void arguments_of(struct asked *asked) {
    char *value = (char *)value_of(asked->line, "argv");
    int count = 0;
    while (value && *value != ']' && count < MOST_ARGUMENTS) {
        char *start = strchr(value, '"') + 1, *end = strchr(start, '"');
        value = end + 1;
        *end = 0;
        asked->argv[count++] = start;
    }
    asked->argv[count] = NULL;
}

/* An outcome that failed: the errno's name, after the call's where there is one. */
static void failed(char *answer, size_t size, const char *call, int error) {
    const char *name = strerrorname_np(error);
    snprintf(answer, size, "\"outcome\":\"%s%s%s\",\"native\":\"%s\"", call ? call : "",
             call ? ":" : "", name ? name : "other", strerror(error));
}

/* A signal's outcome: ESRCH says that the process has ended. */
static void signalled(char *answer, size_t size, int result) {
    if (result == 0)
        snprintf(answer, size, "\"outcome\":\"nil\"");
    else if (errno == ESRCH)
        snprintf(answer, size, "\"outcome\":\"EPD\",\"native\":\"ESRCH\"");
    else
        failed(answer, size, NULL, errno);
}

/* Starts a program with nothing but stderr in common with us; returns the pid, or -errno. */
static pid_t spawn(char *const argv[]) {
    pid_t pid;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    int error = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return error ? -error : pid;
}

static void *serve(void *argument) {
    struct asked *asked = argument;
    char answer[512];
    fprintf(outgoing, "{\"type\":\"invoke\",\"id\":%ld,\"tid\":%ld}\n", asked->id,
            syscall(SYS_gettid));
    perform(asked, answer, sizeof answer);
    fprintf(outgoing, "{\"type\":\"return\",\"id\":%ld,%s}\n", asked->id, answer);
    free(asked);
    return NULL;
}

int main(void) {
    incoming = fdopen(fcntl(0, F_DUPFD_CLOEXEC, 3), "r");
    outgoing = fdopen(fcntl(1, F_DUPFD_CLOEXEC, 3), "w");
    setvbuf(outgoing, NULL, _IOLBF, 1024); /* a line is written whole, under stdio's own lock */
    char line[8192], type[NAME_LENGTH];
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    while (fgets(line, sizeof line, incoming)) {
        text_of(line, "type", type);
        if (!strcmp(type, "hello")) {
            fprintf(outgoing,
                    "{\"type\":\"ready\",\"protocol_min\":1,\"protocol_max\":1,\"system\":\"linux\","
                    "\"pid\":%d,%s}\n",
                    getpid(), about);
        } else if (!strcmp(type, "op")) {
            struct asked *asked = calloc(1, sizeof *asked);
            pthread_t thread;
            strcpy(asked->line, line);
            asked->id = number_of(line, "id");
            asked->pid = number_of(line, "pid");
            asked->signal = number_of(line, "signal");
            text_of(line, "op", asked->op);
            text_of(line, "process", asked->process);
            arguments_of(asked);
            if (pthread_create(&thread, &detached, serve, asked))
                abort();
        } else {
            break;
        }
    }
    _exit(0);
}

/* The process objects, by the suite's names for them. */
#define MOST_PROCESSES 4096
static pthread_mutex_t naming = PTHREAD_MUTEX_INITIALIZER;
static struct process *processes[MOST_PROCESSES];

static struct process **slot_of(const char *name, char (*names)[NAME_LENGTH]) {
    int free_slot = -1;
    for (int i = 0; i < MOST_PROCESSES; i++) {
        if (processes[i] && !strcmp(names[i], name))
            return &processes[i];
        if (!processes[i] && free_slot < 0)
            free_slot = i;
    }
    if (free_slot < 0)
        abort();
    strcpy(names[free_slot], name);
    return &processes[free_slot];
}

static char names[MOST_PROCESSES][NAME_LENGTH];

static struct process *process_of(struct asked *asked, struct process *made, int drop) {
    pthread_mutex_lock(&naming);
    struct process **slot = slot_of(asked->process, names), *found = made ? made : *slot;
    *slot = drop ? NULL : found;
    pthread_mutex_unlock(&naming);
    return found;
}
