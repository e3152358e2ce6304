/*
 * An OpenAI-compatible upstream that costs next to nothing: requests in, canned answers out.
 *
 *   mock_upstream port:ttfb_us:gap_us:events ...
 *
 * Each argument is a listening port (0 takes a free one): how long the first byte of an answer
 * waits, how long a stream rests between two events, and how many content events a stream has. For
 * each port one JSON line on standard output says what to expect of its answers.
 *
 * A request with "stream": true gets a role event, the content events, a finish, a usage event and
 * [DONE], each as its own HTTP chunk in its own send. Any other POST gets one JSON body, and a GET a
 * small one. "max_tokens" of 1,000,000 or more in the request overrides the waiting: 1,000,000 +
 * milliseconds to the first byte * 1000 + milliseconds between events. Every proxy forwards that.
 *
 * One thread on epoll; Linux 5.11 and glibc 2.35, for waits shorter than a millisecond. It never
 * checks a key and never closes a connection first.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
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

#define MAX_FDS 65536
#define MAX_PORTS 16
#define MAX_REQUEST 65536
#define BATCH 512
#define EVENTS_AROUND 4 /* role, finish, usage and [DONE] */

#define ABOUT "\"created\":1700000000,\"model\":\"gpt-4o-mini\",\"system_fingerprint\":\"fp_mock\""
#define CHUNK "data: {\"id\":\"chatcmpl-mock0123456789abcdef\",\"object\":\"chat.completion.chunk\"," ABOUT

typedef struct {
    int fd, events;
    long ttfb_us, gap_us, body_bytes;
    char *stream; /* the whole reply, head included */
    int *ends;    /* where each event ends in it */
} Port;

typedef enum { NOTHING, WHOLE, STREAM } Answer;

typedef struct {
    int fd, length, event, wants_write;
    Port *port;
    Answer answer;
    long gap_us;
    const char *reply;
    int reply_length, sent;
    char request[MAX_REQUEST];
} Connection;

typedef struct {
    long due;
    int fd;
    unsigned generation; /* tells a timer of an earlier connection with the same fd */
} Timer;

static const char *WORDS[16] = {" Hello", " world", "这是", "一个", "测试", " answer", " from", " the",
                                " mock", " model", ", which", " streams", " tokens", " quickly",
                                " and", "稳定地"};
static const char HEALTHY[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                              "Content-Length: 15\r\n\r\n{\"status\":\"ok\"}";

static Port ports[MAX_PORTS];
static int port_count, epoll_fd, json_length, json_bytes;
static char json_reply[8192];
static Connection *connections[MAX_FDS];
static unsigned generations[MAX_FDS];
static Timer *timers;
static int timer_count, timer_room;

static long now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000L + t.tv_nsec / 1000;
}

/* Timers are a binary heap, the earliest first. */

static void timer_push(long due, int fd) {
    if (timer_count == timer_room) {
        timer_room = timer_room ? timer_room * 2 : 1024;
        timers = realloc(timers, timer_room * sizeof(Timer));
        if (!timers) abort();
    }
    int at = timer_count++;
    for (int parent; at && timers[parent = (at - 1) / 2].due > due; at = parent)
        timers[at] = timers[parent];
    timers[at] = (Timer){due, fd, generations[fd]};
}

static Timer timer_pop(void) {
    Timer first = timers[0], last = timers[--timer_count];
    int at = 0;
    for (int child; (child = 2 * at + 1) < timer_count; at = child) {
        if (child + 1 < timer_count && timers[child + 1].due < timers[child].due) child++;
        if (timers[child].due >= last.due) break;
        timers[at] = timers[child];
    }
    if (timer_count) timers[at] = last;
    return first;
}

/* The answers, built once. */

static int write_event(char *to, int number, int count) {
    if (number == 0)
        return sprintf(to, CHUNK ",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\","
                                 "\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n");
    if (number <= count)
        return sprintf(to, CHUNK ",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%s\"},"
                                 "\"logprobs\":null,\"finish_reason\":null}]}\n\n",
                       WORDS[number * 7 % 16]);
    if (number == count + 1)
        return sprintf(to, CHUNK ",\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":null,"
                                 "\"finish_reason\":\"stop\"}]}\n\n");
    if (number == count + 2)
        return sprintf(to, CHUNK ",\"choices\":[],\"usage\":{\"prompt_tokens\":57,"
                                 "\"completion_tokens\":%d,\"total_tokens\":%d}}\n\n",
                       count, count + 57);
    return sprintf(to, "data: [DONE]\n\n");
}

static void build_stream(Port *port, int count) {
    port->events = count + EVENTS_AROUND;
    port->stream = malloc((size_t)port->events * 512 + 512);
    port->ends = malloc(sizeof(int) * port->events);
    if (!port->stream || !port->ends) abort();
    int at = sprintf(port->stream,
                     "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
                     "Cache-Control: no-cache\r\nx-request-id: req_mock\r\n"
                     "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < port->events; i++) {
        char event[512];
        int bytes = write_event(event, i, count);
        port->body_bytes += bytes;
        at += sprintf(port->stream + at, "%x\r\n%s\r\n", bytes, event);
        if (i == port->events - 1) at += sprintf(port->stream + at, "0\r\n\r\n");
        port->ends[i] = at;
    }
}

static void build_json(void) {
    char text[2000], body[4000];
    int at = 0;
    for (int i = 0; i < 96; i++) at += sprintf(text + at, "%s", WORDS[i * 7 % 16]);
    json_bytes = sprintf(body,
                         "{\"id\":\"chatcmpl-mock0123456789abcdef\",\"object\":\"chat.completion\"," ABOUT
                         ",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
                         "\"%s\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
                         "\"usage\":{\"prompt_tokens\":57,\"completion_tokens\":120,"
                         "\"total_tokens\":177}}",
                         text);
    json_length = sprintf(json_reply,
                          "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                          "x-request-id: req_mock\r\nContent-Length: %d\r\n\r\n%s",
                          json_bytes, body);
}

/* One connection. What returns -1 has closed it. */

static int take_request(Connection *c);

static int hang_up(Connection *c) {
    generations[c->fd]++;
    connections[c->fd] = NULL;
    close(c->fd);
    free(c);
    return -1;
}

static void want_write(Connection *c, int wanted) {
    if (c->wants_write == wanted) return;
    c->wants_write = wanted;
    struct epoll_event e = {.events = EPOLLIN | (wanted ? EPOLLOUT : 0), .data.fd = c->fd};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &e);
}

/* 1 when all up to `end` is sent, 0 when the rest has to wait, -1 when the client is gone. */
static int send_up_to(Connection *c, int end) {
    while (c->sent < end) {
        ssize_t n = send(c->fd, c->reply + c->sent, end - c->sent, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) return hang_up(c);
        if (n > 0) c->sent += n;
        if (n < 0 || c->sent < end) {
            want_write(c, 1);
            return 0;
        }
    }
    want_write(c, 0);
    return 1;
}

static int answer(Connection *c) {
    if (c->answer == WHOLE) {
        int done = send_up_to(c, c->reply_length);
        if (done < 1) return done;
    }
    while (c->answer == STREAM && c->event < c->port->events) {
        int done = send_up_to(c, c->port->ends[c->event]);
        if (done < 1) return done;
        c->event++;
        if (c->gap_us > 0 && c->event < c->port->events) {
            timer_push(now_us() + c->gap_us, c->fd);
            return 0;
        }
    }
    c->answer = NOTHING;
    return take_request(c);
}

/* Bytes of the whole request at the front of the buffer, or 0; `body` is set to its body. */
static int whole_request(Connection *c, char **body, int *body_length) {
    char *end = memmem(c->request, c->length, "\r\n\r\n", 4);
    if (!end) return 0;
    int head = end - c->request + 4, chunked = 0;
    long length = 0;
    for (char *line = c->request; line < end;) {
        if (!strncasecmp(line, "content-length:", 15)) length = atol(line + 15);
        if (!strncasecmp(line, "transfer-encoding:", 18)) chunked = 1;
        line = (char *)memmem(line, end + 2 - line, "\r\n", 2) + 2;
    }
    *body = c->request + head;
    if (chunked) {
        char *last = memmem(*body, c->length - head, "0\r\n\r\n", 5);
        if (!last) return 0;
        *body_length = last - *body;
        return last + 5 - c->request;
    }
    *body_length = length;
    return c->length < head + length ? 0 : head + length;
}

static int take_request(Connection *c) {
    char *body;
    int body_length, bytes;
    c->request[c->length] = 0;
    if (c->answer != NOTHING || !(bytes = whole_request(c, &body, &body_length))) return 0;
    int stream = memmem(body, body_length, "\"stream\":true", 13) ||
                 memmem(body, body_length, "\"stream\": true", 14);
    long ttfb_us = c->port->ttfb_us;
    c->gap_us = c->port->gap_us;
    char *control = memmem(body, body_length, "\"max_tokens\":", 13);
    long value = control ? atol(control + 13) : 0;
    if (value >= 1000000) {
        ttfb_us = (value - 1000000) / 1000 * 1000;
        c->gap_us = value % 1000 * 1000;
    }
    int get = !strncmp(c->request, "GET ", 4);
    memmove(c->request, c->request + bytes, c->length - bytes);
    c->length -= bytes;
    c->sent = c->event = 0;
    c->answer = stream && !get ? STREAM : WHOLE;
    c->reply = get ? HEALTHY : stream ? c->port->stream : json_reply;
    c->reply_length = get ? (int)sizeof HEALTHY - 1 : json_length;
    if (ttfb_us > 0 && !get) {
        timer_push(now_us() + ttfb_us, c->fd);
        return 0;
    }
    return answer(c);
}

static void serve(Connection *c, unsigned what) {
    if (what & EPOLLOUT && answer(c) < 0) return;
    if (!(what & (EPOLLIN | EPOLLERR | EPOLLHUP))) return;
    ssize_t n = recv(c->fd, c->request + c->length, MAX_REQUEST - 1 - c->length, 0);
    if (n > 0) {
        c->length += n;
        take_request(c);
    } else if (n == 0 || errno != EAGAIN) {
        hang_up(c);
    }
}

static void accept_all(Port *port) {
    int fd, yes = 1;
    while ((fd = accept4(port->fd, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        Connection *c = fd < MAX_FDS ? calloc(1, sizeof(Connection)) : NULL;
        if (!c) abort();
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        c->fd = fd;
        c->port = port;
        connections[fd] = c;
        struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e);
    }
}

static void listen_on(const char *argument) {
    Port *port = &ports[port_count++];
    int number = 0, count = 64, yes = 1;
    sscanf(argument, "%d:%ld:%ld:%d", &number, &port->ttfb_us, &port->gap_us, &count);
    build_stream(port, count);
    port->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(port->fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    struct sockaddr_in a = {AF_INET, htons(number), {htonl(INADDR_LOOPBACK)}, {0}};
    socklen_t size = sizeof a;
    if (bind(port->fd, (void *)&a, sizeof a) || listen(port->fd, 4096)) {
        perror("mock_upstream: cannot listen");
        exit(2);
    }
    getsockname(port->fd, (void *)&a, &size);
    struct epoll_event e = {.events = EPOLLIN, .data.fd = port->fd};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, port->fd, &e);
    printf("{\"port\":%d,\"json_bytes\":%d,\"stream_bytes\":%ld,\"stream_events\":%d}\n",
           ntohs(a.sin_port), json_bytes, port->body_bytes, port->events);
}

static int wait_for(struct epoll_event *found) {
    struct timespec wait, *limit = NULL;
    if (timer_count) {
        long us = timers[0].due - now_us();
        if (us < 0) us = 0;
        wait = (struct timespec){us / 1000000, us % 1000000 * 1000};
        limit = &wait;
    }
    return epoll_pwait2(epoll_fd, found, BATCH, limit, NULL);
}

int main(int argc, char **argv) {
    struct epoll_event found[BATCH];
    signal(SIGPIPE, SIG_IGN);
    epoll_fd = epoll_create1(0);
    build_json();
    for (int i = 1; i < argc && i <= MAX_PORTS; i++) listen_on(argv[i]);
    fflush(stdout);
    for (;;) {
        int n = wait_for(found);
        for (long now = now_us(); timer_count && timers[0].due <= now;) {
            Timer t = timer_pop();
            if (connections[t.fd] && generations[t.fd] == t.generation) answer(connections[t.fd]);
        }
        for (int i = 0; i < n; i++) {
            int fd = found[i].data.fd;
            for (int k = 0; k < port_count; k++)
                if (ports[k].fd == fd) accept_all(&ports[k]);
            if (connections[fd]) serve(connections[fd], found[i].events);
        }
    }
}
