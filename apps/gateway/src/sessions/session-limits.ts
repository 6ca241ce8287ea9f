/** Bounds of browser sockets, each with its reason. Bytes unless named otherwise. */

const KIB = 1024;
const MIB = 1024 * KIB;

/** Sockets of this process. About 30 KiB each when idle. */
export const SOCKETS_MAX = 4096;
/** Sockets of one user: ten workspaces with the largest plan's ten tabs would be an odd way to work. */
export const SOCKETS_PER_USER = 64;
/** TCP connections to a listener, those without a ticket yet included. */
export const CONNECTIONS_MAX = SOCKETS_MAX + 1024;

/** Time to show a ticket after the WebSocket opened. */
export const CONNECT_TIMEOUT_MS = 10_000;
/** A client that stopped answering is cut after both: 35 s. */
export const PING_INTERVAL_MS = 20_000;
export const PING_TIMEOUT_MS = 15_000;

/** From a browser: an upload may use all of a fast line; past the burst it is read at the rate, not refused. */
export const INPUT_BYTES_PER_SECOND = 64 * MIB;
export const INPUT_BURST_BYTES = 64 * MIB;
/** A message costs about 15 µs whatever its size: a tenth of a core for one client at most. */
export const INPUT_MESSAGES_PER_SECOND = 6_000;
export const INPUT_BURST_MESSAGES = 12_000;

/** To a browser: above this, hostd's socket is not read. One more read of 64 KiB may come on top. */
export const OUTPUT_HIGH_MARK_BYTES = 256 * KIB;
/** One Socket.IO message to a browser, of as many chunks as came while the last one was on its way. */
export const OUTPUT_MESSAGE_MAX_BYTES = 256 * KIB;

/** hostd takes no bytes for this long: the browser is told and reconnects. Below the heartbeat's patience, or nobody hears it. */
export const HOSTD_STALL_MS = 10_000;
