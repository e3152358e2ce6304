/*
 * A closed-loop HTTP/1.1 client: each connection has one call running, and starts the next when it
 * is answered. It checks status, length and number of events of every reply, and prints one line of
 * JSON: counts, calls a second, and percentiles in microseconds of the whole call (latency), of the
 * time to the first body byte (ttft) and of the time between two reads of body bytes (gap).
 *
 *   load_client -p port -b body_file [-c connections] [-d seconds] [-n max_requests] [-u path]
 *               [-H header]... [-s N] [-E events] [-L bytes] [-S stagger_us]
 *
 * "@@@@@@@@" in a header becomes a number that counts up every N requests (-s), so that the calls
 * spread over sessions. -E is the least number of events that a stream has to have, -L the exact
 * length of every reply's body. With -S the connections begin one after the other, that many
 * microseconds apart. After -d seconds no call is begun; those that run may take 15 seconds more.
 *
 * One thread on epoll; Linux 5.11 and glibc 2.35, for waits shorter than a millisecond. It never
 * sends a request twice: a call that breaks off is counted as failed.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 512
#define MAX_HEAD 8192
#define MAX_BODY 65536
#define MAX_TIMES 4000000
#define LATE_SECONDS 15.0
#define COUNTER "@@@@@@@@"

/* Where in a reply the parser is. */
typedef enum { HEAD, COUNTED, SIZE, CHUNK, CHUNK_END, LAST, UNTIL_CLOSE } State;

typedef struct {
    int fd, is_busy, status, is_kept_open, events, ended_in_newline, ends_seen, has_begun;
    State state;
    long left, body_bytes;
    double started, last_read;
    int head_length, size_length;
    char head[MAX_HEAD], size[32];
} Connection;

typedef struct {
    long count;
    float *seconds;
} Times;

static int epoll_fd, port = 80, connection_count = 1, least_events, request_length, is_over;
static long max_requests = -1, per_number = 1, exact_bytes = -1;
static double run_seconds = 2, stagger;
static char request[MAX_BODY + 16384], *counter, complaint[300];
static Times latency, ttft, gap;
static long done, failed, refused, wrong, begun, events, bytes, connects;

static void give_up(const char *reason) {
    fprintf(stderr, "load_client: %s\n", reason);
    exit(2);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void note(Times *times, double seconds) {
    if (times->count < MAX_TIMES) times->seconds[times->count++] = seconds;
}

static void dial(Connection *c) {
    struct sockaddr_in a = {AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {0}};
    int yes = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(c->fd, (void *)&a, sizeof a)) give_up("cannot connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &e);
    connects++;
}

static int may_begin(void) { return !is_over && (max_requests < 0 || begun < max_requests); }

static void call(Connection *c) {
    c->is_busy = 0;
    if (!may_begin()) return;
    long number = begun++ / per_number;
    for (int i = 7; counter && i >= 0; i--, number /= 10) counter[i] = '0' + number % 10;
    c->is_busy = 1;
    c->state = HEAD;
    c->head_length = c->events = c->ended_in_newline = c->has_begun = 0;
    c->body_bytes = 0;
    c->started = now();
    /* A request is smaller than an empty send buffer, so that it is sent whole or not at all; a
     * connection that the server has closed meanwhile shows when it is read. */
    send(c->fd, request, request_length, MSG_NOSIGNAL);
}

static void complain(const char *body, int length) {
    if (complaint[0]) return;
    int size = length < (int)sizeof complaint - 1 ? length : (int)sizeof complaint - 1;
    for (int i = 0; i < size; i++) {
        unsigned char ch = body[i];
        complaint[i] = ch < 32 || ch > 126 || ch == '"' || ch == '\\' ? ' ' : ch;
    }
}

static void take_body(Connection *c, const char *body, int length) {
    double t = now();
    if (!c->has_begun) note(&ttft, t - c->started);
    else if (least_events) note(&gap, t - c->last_read);
    c->has_begun = 1;
    c->last_read = t;
    c->body_bytes += length;
    bytes += length;
    if (c->status != 200) complain(body, length);
    if (!least_events) return;
    /* An event ends with an empty line. */
    for (const char *at = body; (at = memchr(at, '\n', body + length - at)); at++)
        if (at > body ? at[-1] == '\n' : c->ended_in_newline) c->events++;
    c->ended_in_newline = body[length - 1] == '\n';
}

static void finish(Connection *c) {
    if (c->status == 200) {
        done++;
        note(&latency, now() - c->started);
        events += c->events;
        if (c->events < least_events || (exact_bytes >= 0 && c->body_bytes != exact_bytes)) wrong++;
    } else {
        refused++;
    }
    if (!c->is_kept_open) {
        close(c->fd);
        dial(c);
    }
    call(c);
}

/* The head is whole: how the body is framed. True when there is none. */
static int read_head(Connection *c) {
    c->head[c->head_length] = 0;
    c->status = atoi(c->head + 9);
    c->is_kept_open = !strcasestr(c->head, "\r\nconnection: close");
    c->size_length = c->ends_seen = 0;
    char *length = strcasestr(c->head, "\r\ncontent-length:");
    if (length) {
        c->left = atol(length + 17);
        c->state = COUNTED;
        return c->left == 0;
    }
    c->state = strcasestr(c->head, "\r\ntransfer-encoding: chunked") ? SIZE : UNTIL_CLOSE;
    return 0;
}

/* One byte outside of a body. True when it was the last of the reply. */
static int take_byte(Connection *c, char byte) {
    switch (c->state) {
    case HEAD:
        if (c->head_length == MAX_HEAD - 1) give_up("the head of a reply is too long");
        c->head[c->head_length++] = byte;
        if (byte == '\n' && c->head_length >= 4 && !memcmp(c->head + c->head_length - 4, "\r\n\r\n", 4))
            return read_head(c);
        return 0;
    case SIZE:
        if (byte != '\n') {
            if (c->size_length < 30) c->size[c->size_length++] = byte;
            return 0;
        }
        c->size[c->size_length] = 0;
        c->left = strtol(c->size, NULL, 16);
        c->size_length = c->ends_seen = 0;
        c->state = c->left ? CHUNK : LAST;
        return 0;
    default: /* CHUNK_END and LAST: a line end of two bytes */
        if (++c->ends_seen < 2) return 0;
        if (c->state == LAST) return 1;
        c->state = SIZE;
        return 0;
    }
}

static void feed(Connection *c, const char *data, int length) {
    for (int i = 0; i < length;) {
        if (c->state == UNTIL_CLOSE) {
            take_body(c, data + i, length - i);
            return;
        }
        if (c->state != COUNTED && c->state != CHUNK) {
            if (!take_byte(c, data[i++])) continue;
            finish(c);
            return;
        }
        int part = length - i < c->left ? length - i : c->left;
        take_body(c, data + i, part);
        i += part;
        c->left -= part;
        if (c->left) continue;
        if (c->state == COUNTED) {
            finish(c);
            return;
        }
        c->state = CHUNK_END;
        c->ends_seen = 0;
    }
}

static void closed(Connection *c, int is_clean) {
    if (c->is_busy && c->state == UNTIL_CLOSE && is_clean) {
        c->is_kept_open = 0;
        finish(c);
        return;
    }
    close(c->fd);
    dial(c);
    if (c->is_busy) {
        failed++;
        call(c);
    }
}

static int compare(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

static double percentile(const Times *times, double part) {
    if (!times->count) return 0;
    long at = part * times->count;
    return times->seconds[at < times->count ? at : times->count - 1] * 1e6;
}

static void print_times(const char *name, Times *times) {
    qsort(times->seconds, times->count, sizeof(float), compare);
    printf(",\"%s_p50\":%.1f,\"%s_p90\":%.1f,\"%s_p99\":%.1f", name, percentile(times, .5), name,
           percentile(times, .9), name, percentile(times, .99));
}

static void report(double elapsed) {
    printf("{\"done\":%ld,\"failed\":%ld,\"refused\":%ld,\"wrong\":%ld,\"events\":%ld,\"bytes\":%ld,"
           "\"connects\":%ld,\"elapsed\":%.4f,\"rate\":%.1f",
           done, failed, refused, wrong, events, bytes, connects, elapsed, done / elapsed);
    print_times("latency", &latency);
    print_times("ttft", &ttft);
    print_times("gap", &gap);
    printf(",\"complaint\":\"%s\"}\n", complaint);
}

static void build_request(const char *path, const char *headers, const char *body_file) {
    static char body[MAX_BODY];
    FILE *file = body_file ? fopen(body_file, "r") : NULL;
    if (!file) give_up("-b must name a file that can be read");
    int length = fread(body, 1, sizeof body, file);
    fclose(file);
    request_length = sprintf(request,
                             "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: "
                             "application/json\r\nAccept: */*\r\nUser-Agent: load/1\r\n%s"
                             "Content-Length: %d\r\n\r\n",
                             path, port, headers, length);
    counter = memmem(request, request_length, COUNTER, strlen(COUNTER));
    memcpy(request + request_length, body, length);
    request_length += length;
}

static void read_options(int argc, char **argv) {
    static char headers[8192];
    const char *path = "/v1/chat/completions", *body_file = NULL;
    for (int o; (o = getopt(argc, argv, "p:c:d:n:u:H:b:E:L:S:s:")) > 0;) {
        switch (o) {
        case 'p': port = atoi(optarg); break;
        case 'c': connection_count = atoi(optarg); break;
        case 'd': run_seconds = atof(optarg); break;
        case 'n': max_requests = atol(optarg); break;
        case 'u': path = optarg; break;
        case 'b': body_file = optarg; break;
        case 'E': least_events = atoi(optarg); break;
        case 'L': exact_bytes = atol(optarg); break;
        case 'S': stagger = atof(optarg) * 1e-6; break;
        case 's': per_number = atol(optarg) > 0 ? atol(optarg) : 1; break;
        case 'H':
            if (strlen(headers) + strlen(optarg) + 3 > sizeof headers) give_up("too many headers");
            strcat(strcat(headers, optarg), "\r\n");
            break;
        default: give_up("see the top of load_client.c for the options");
        }
    }
    build_request(path, headers, body_file);
}

/* Begin what is due at `t`; the number of connections that have begun. */
static int begin(Connection *all, int count, double first, double t) {
    while (count < connection_count && (is_over || t >= first + count * stagger)) call(&all[count++]);
    return count;
}

static int running(const Connection *all) {
    int count = 0;
    for (int i = 0; i < connection_count; i++) count += all[i].is_busy;
    return count;
}

int main(int argc, char **argv) {
    static char buffer[262144];
    struct epoll_event found[BATCH];
    signal(SIGPIPE, SIG_IGN);
    read_options(argc, argv);
    Times *all_times[] = {&latency, &ttft, &gap};
    for (int i = 0; i < 3; i++)
        if (!(all_times[i]->seconds = malloc(MAX_TIMES * sizeof(float)))) abort();
    epoll_fd = epoll_create1(0);
    Connection *all = calloc(connection_count, sizeof(Connection));
    for (int i = 0; i < connection_count; i++) dial(&all[i]);
    double first = now();
    for (int count = 0;;) {
        double t = now();
        is_over |= t >= first + run_seconds;
        count = begin(all, count, first, t);
        int live = may_begin() ? 1 : running(all);
        if (!live) break;
        if (t > first + run_seconds + LATE_SECONDS) {
            failed += live;
            break;
        }
        double wait = count < connection_count ? first + count * stagger - t : 0.05;
        struct timespec limit = {0, wait > 0.05 ? 50000000 : wait > 0 ? (long)(wait * 1e9) : 0};
        int n = epoll_pwait2(epoll_fd, found, BATCH, &limit, NULL);
        for (int i = 0; i < n; i++) {
            Connection *c = found[i].data.ptr;
            ssize_t got = recv(c->fd, buffer, sizeof buffer, 0);
            if (got > 0) feed(c, buffer, got);
            else if (got == 0 || errno != EAGAIN) closed(c, got == 0);
        }
    }
    report(now() - first);
    return 0;
}
