/*
 * What the guest agent needs from Linux and Node does not offer: identity (entropy, clock, host name), freezing a
 * file system, and a device file that is read and written without a thread waiting in it. Types: guest-native.ts.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/random.h>
#include <math.h>
#include <node_api.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#define MAX_ENTROPY_BYTES 512
#define MAX_PATH_BYTES 4096

static napi_value fail(napi_env env, const char *what) {
  const char *code = strerrorname_np(errno);
  napi_throw_error(env, code == NULL ? "EIO" : code, what);
  return NULL;
}

static napi_value refuse(napi_env env, const char *message) {
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", message);
  return NULL;
}

/* Fills `values`; false (with an exception pending) unless exactly `count` arguments were given. */
static bool arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values) {
  size_t given = count;
  if (napi_get_cb_info(env, info, &given, values, NULL, NULL) == napi_ok && given == count) return true;
  refuse(env, "wrong number of arguments");
  return false;
}

static bool text(napi_env env, napi_value value, char *buffer, size_t size) {
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, buffer, size, &length) == napi_ok && length > 0 &&
      length < size - 1 && strlen(buffer) == length)
    return true;
  refuse(env, "expected a short string without NUL");
  return false;
}

static bool bytes(napi_env env, napi_value value, unsigned char **data, size_t *length) {
  napi_typedarray_type type;
  bool is_typed = false;
  if (napi_is_typedarray(env, value, &is_typed) == napi_ok && is_typed &&
      napi_get_typedarray_info(env, value, &type, length, (void **)data, NULL, NULL) == napi_ok &&
      (type == napi_uint8_array || type == napi_uint8_clamped_array))
    return true;
  refuse(env, "expected a Uint8Array");
  return false;
}

static napi_value integer(napi_env env, int64_t number) {
  napi_value value;
  return napi_create_int64(env, number, &value) == napi_ok ? value : NULL;
}

/* reseed(entropy): credits the bytes, then makes the kernel's generator take them at once and not at its next turn. */
static napi_value reseed(napi_env env, napi_callback_info info) {
  napi_value argument;
  unsigned char *data;
  size_t length;
  if (!arguments(env, info, 1, &argument) || !bytes(env, argument, &data, &length)) return NULL;
  if (length < 32 || length > MAX_ENTROPY_BYTES) return refuse(env, "expected 32 to 512 bytes");
  union {
    struct rand_pool_info header;
    unsigned char space[sizeof(struct rand_pool_info) + MAX_ENTROPY_BYTES];
  } pool;
  pool.header.entropy_count = (int)length * 8;
  pool.header.buf_size = (int)length;
  memcpy(pool.space + sizeof(struct rand_pool_info), data, length);
  int fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return fail(env, "open /dev/urandom");
  int result = ioctl(fd, RNDADDENTROPY, &pool);
  if (result == 0) result = ioctl(fd, RNDRESEEDCRNG, 0);
  int error = errno;
  explicit_bzero(&pool, sizeof pool);
  close(fd);
  errno = error;
  return result == 0 ? NULL : fail(env, "reseed");
}

static napi_value set_clock(napi_env env, napi_callback_info info) {
  napi_value argument;
  double unix_ms = 0;
  if (!arguments(env, info, 1, &argument)) return NULL;
  if (napi_get_value_double(env, argument, &unix_ms) != napi_ok || !(unix_ms >= 0 && unix_ms < 8.64e15))
    return refuse(env, "expected Unix milliseconds");
  struct timespec now = {.tv_sec = (time_t)(unix_ms / 1000), .tv_nsec = (long)(fmod(unix_ms, 1000) * 1e6)};
  return clock_settime(CLOCK_REALTIME, &now) == 0 ? NULL : fail(env, "clock_settime");
}

static napi_value set_hostname(napi_env env, napi_callback_info info) {
  napi_value argument;
  char name[66];
  if (!arguments(env, info, 1, &argument) || !text(env, argument, name, sizeof name)) return NULL;
  return sethostname(name, strlen(name)) == 0 ? NULL : fail(env, "sethostname");
}

/* Both block until the file system is quiet; the agent calls freeze only after it has flushed its own writes. */
static napi_value freeze_or_thaw(napi_env env, napi_callback_info info, unsigned long request, const char *what) {
  napi_value argument;
  char path[MAX_PATH_BYTES];
  if (!arguments(env, info, 1, &argument) || !text(env, argument, path, sizeof path)) return NULL;
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fail(env, what);
  int result = ioctl(fd, request, 0);
  int error = errno;
  close(fd);
  errno = error;
  return result == 0 ? NULL : fail(env, what);
}

static napi_value freeze(napi_env env, napi_callback_info info) { return freeze_or_thaw(env, info, FIFREEZE, "freeze"); }
static napi_value thaw(napi_env env, napi_callback_info info) { return freeze_or_thaw(env, info, FITHAW, "thaw"); }

/*
 * A port. While no host is connected a virtio port is always readable and hung up, so a level-triggered wait, which is
 * all libuv has, would spin. The device sits edge-triggered in an epoll of its own, and libuv waits for that one.
 */
struct port {
  uv_poll_t poll;
  napi_env env;
  napi_ref on_ready;
  napi_async_context context;
  /* -1 once closed: a late read or write then fails with EBADF. */
  int fd;
  int epoll_fd;
  /* libuv's handle and the JavaScript value; the last one to go frees it. */
  int owners;
};

static void release(struct port *port) {
  if (--port->owners == 0) free(port);
}

static void on_closed(uv_handle_t *handle) { release(handle->data); }
static void on_collected(napi_env env, void *port, void *hint) {
  (void)env, (void)hint;
  release(port);
}

static void close_port_now(struct port *port) {
  if (port->fd < 0) return;
  uv_close((uv_handle_t *)&port->poll, on_closed);
  close(port->epoll_fd);
  close(port->fd);
  port->fd = -1;
  napi_async_destroy(port->env, port->context);
  napi_delete_reference(port->env, port->on_ready);
}

static void close_at_exit(void *port) { close_port_now(port); }

static void on_poll(uv_poll_t *poll, int status, int events) {
  (void)events;
  struct port *port = poll->data;
  struct epoll_event event;
  if (status < 0 || epoll_wait(port->epoll_fd, &event, 1, 0) != 1) return;
  napi_handle_scope scope;
  if (napi_open_handle_scope(port->env, &scope) != napi_ok) return;
  napi_value callback, receiver, argument, exception;
  napi_get_reference_value(port->env, port->on_ready, &callback);
  napi_get_global(port->env, &receiver);
  napi_get_boolean(port->env, (event.events & EPOLLHUP) == 0, &argument);
  /* An exception of the callback becomes an uncaught one, as with any other event. */
  if (napi_make_callback(port->env, port->context, receiver, callback, 1, &argument, NULL) == napi_pending_exception &&
      napi_get_and_clear_last_exception(port->env, &exception) == napi_ok)
    napi_fatal_exception(port->env, exception);
  napi_close_handle_scope(port->env, scope);
}

/* openPort(path, onReady): onReady(isConnected) whenever there may be something to read, room to write, or a change. */
static napi_value open_port(napi_env env, napi_callback_info info) {
  napi_value values[2], name, result;
  char path[MAX_PATH_BYTES];
  uv_loop_t *loop;
  if (!arguments(env, info, 2, values) || !text(env, values[0], path, sizeof path)) return NULL;
  napi_valuetype type;
  if (napi_typeof(env, values[1], &type) != napi_ok || type != napi_function) return refuse(env, "expected a function");
  struct port *port = calloc(1, sizeof *port);
  if (port == NULL) return fail(env, "openPort");
  port->env = env;
  port->poll.data = port;
  port->owners = 2;
  port->epoll_fd = -1;
  port->fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (port->fd < 0) goto failed;
  port->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET};
  if (port->epoll_fd < 0 || epoll_ctl(port->epoll_fd, EPOLL_CTL_ADD, port->fd, &event) != 0) goto failed;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok || uv_poll_init(loop, &port->poll, port->epoll_fd) != 0) {
    errno = EIO;
    goto failed;
  }
  napi_create_string_utf8(env, "GuestPort", NAPI_AUTO_LENGTH, &name);
  napi_async_init(env, NULL, name, &port->context);
  napi_create_reference(env, values[1], 1, &port->on_ready);
  napi_add_env_cleanup_hook(env, close_at_exit, port);
  uv_poll_start(&port->poll, UV_READABLE, on_poll);
  return napi_create_external(env, port, on_collected, NULL, &result) == napi_ok ? result : NULL;

failed:;
  int error = errno;
  if (port->epoll_fd >= 0) close(port->epoll_fd);
  if (port->fd >= 0) close(port->fd);
  free(port);
  errno = error;
  return fail(env, "openPort");
}

static struct port *port_of(napi_env env, napi_value value) {
  void *port = NULL;
  napi_valuetype type;
  if (napi_typeof(env, value, &type) == napi_ok && type == napi_external) napi_get_value_external(env, value, &port);
  if (port == NULL) refuse(env, "expected a port");
  return port;
}

static napi_value transfer(napi_env env, napi_callback_info info, bool is_write) {
  napi_value values[2];
  struct port *port;
  unsigned char *data;
  size_t length;
  if (!arguments(env, info, 2, values) || (port = port_of(env, values[0])) == NULL ||
      !bytes(env, values[1], &data, &length))
    return NULL;
  ssize_t count;
  do count = is_write ? write(port->fd, data, length) : read(port->fd, data, length);
  while (count < 0 && errno == EINTR);
  if (count < 0 && errno != EAGAIN) return fail(env, is_write ? "writePort" : "readPort");
  return integer(env, count);
}

static napi_value read_port(napi_env env, napi_callback_info info) { return transfer(env, info, false); }
static napi_value write_port(napi_env env, napi_callback_info info) { return transfer(env, info, true); }

static napi_value close_port(napi_env env, napi_callback_info info) {
  napi_value argument;
  struct port *port;
  if (!arguments(env, info, 1, &argument) || (port = port_of(env, argument)) == NULL) return NULL;
  napi_remove_env_cleanup_hook(env, close_at_exit, port);
  close_port_now(port);
  return NULL;
}

NAPI_MODULE_INIT() {
  static const struct {
    const char *name;
    napi_callback call;
  } functions[] = {
      {"reseed", reseed},        {"setClock", set_clock}, {"setHostname", set_hostname},
      {"freeze", freeze},        {"thaw", thaw},          {"openPort", open_port},
      {"readPort", read_port},   {"writePort", write_port}, {"closePort", close_port},
  };
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    napi_value function;
    if (napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].call, NULL, &function) != napi_ok ||
        napi_set_named_property(env, exports, functions[i].name, function) != napi_ok)
      return NULL;
  }
  return exports;
}
