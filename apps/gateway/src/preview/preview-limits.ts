/** Bounds of the preview proxy, each with its reason. Milliseconds and bytes as named. */

/**
 * TCP connections to the listener. A page with HMR uses some six. One that reads nothing holds a stream's window
 * and node's buffers, 0.3 MiB: 600 MiB if all did.
 */
export const PREVIEW_CONNECTIONS_MAX = 2048;

/** Of a request's head. Node answers 431 above it. */
export const REQUEST_HEAD_MAX_BYTES = 32 * 1024;
/** Of the guest's response head; more is a broken or hostile server. */
export const RESPONSE_HEAD_MAX_BYTES = 64 * 1024;
export const HEADERS_MAX_COUNT = 1000;

/** For a whole request head to arrive. Bodies and responses have no such end: uploads, events and sockets go on for hours. */
export const REQUEST_HEAD_TIMEOUT_MS = 15_000;
/** Until the guest's response head: a slow page is the user's own, but a wait without end holds a stream. */
export const RESPONSE_HEAD_TIMEOUT_MS = 300_000;

/** A guest server closes idle connections after 5 s (Node, Vite): let go before it does. */
export const GUEST_KEEP_ALIVE_MS = 4_000;
/** Connections to one guest port that wait to be used again. */
export const GUEST_IDLE_SOCKETS_MAX = 16;
/** Connections to one guest port for reads; further ones wait. Below the session's streams, so writes and sockets still get one. */
export const GUEST_READ_SOCKETS_MAX = 64;

/** Streams of one viewer of one workspace: requests in flight, open sockets and kept connections over all its ports. */
export const STREAMS_PER_VIEWER = 256;

/** For hostd to answer the hello. */
export const HOSTD_ANSWER_TIMEOUT_MS = 10_000;
/** For a guest on its loopback; a full backlog is all there is to wait for. */
export const GUEST_CONNECT_TIMEOUT_MS = 15_000;
/** A request to a workspace that is waking is held this long, then the waiting page takes over. A resume takes about one second. */
export const WAKE_HOLD_MS = 8_000;
/** A connection to hostd without a stream is closed: it must not keep a workspace awake. */
export const HOSTD_IDLE_MS = 5_000;
/** Workspaces viewed at once through this process. */
export const HOSTD_CONNECTIONS_MAX = 2048;
