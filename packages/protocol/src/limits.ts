/** Every bound of the wire, in bytes unless named otherwise, with its reason. Relations are asserted in limits.test.ts. */

const KIB = 1024;

/** Header of a frame: kind u8, flags u8, payload length u16, stream id u32, big endian. */
export const FRAME_HEADER_BYTES = 8;

/** What the u16 length can say. */
export const FRAME_PAYLOAD_MAX_BYTES = 65_535;

/** Largest DATA payload: small enough that a keystroke waits behind one for about a millisecond in an emulated guest. */
export const DATA_PAYLOAD_MAX_BYTES = 16 * KIB;

/** Unacknowledged DATA and EVENT bytes of one stream in one direction. Covers 10 MB/s at 25 ms. */
export const STREAM_WINDOW_BYTES = 256 * KIB;

/** A reader gives credit back in steps of this size; below the window or the writer never wakes. */
export const CREDIT_STEP_BYTES = 64 * KIB;

/** A JSON message (REPLY, EVENT) put together from fragments. A directory of 10,000 entries is about 1 MB. */
export const MESSAGE_MAX_BYTES = 4 * KIB * KIB;

/** Open streams of one browser session: an IDE with many terminals and watches uses some thirty. */
export const STREAMS_PER_SESSION = 128;

/** Open streams on one guest link: sessions, previews and outbound connections together. */
export const STREAMS_PER_LINK = 4096;

/** Parallel outbound connections of one workspace. npm opens about fifty. */
export const EGRESS_STREAMS_PER_WORKSPACE = 256;

/** Frames waiting for a slow transport beyond the credit windows (control frames). Past it the peer is cut. */
export const CONTROL_QUEUE_MAX_FRAMES = 16_384;

/** Their bytes, with replies: two of the largest messages. */
export const CONTROL_QUEUE_MAX_BYTES = 2 * MESSAGE_MAX_BYTES;

/** Queued frames of one stream. Bytes are packed and cost their header only; no JSON event is so short that a window holds more. */
export const STREAM_QUEUE_MAX_FRAMES = 32_768;

/** Items a stream holds for a reader that is behind: more than one read of a transport brings. Neighbouring bytes are one item. */
export const STREAM_ITEMS_MAX = 16_384;

/** Fragmented messages that one connection is putting together or holds unread. Past it the peer is cut. */
export const MESSAGES_HELD_MAX_BYTES = 4 * MESSAGE_MAX_BYTES;

/** Frames of a stream that nobody has accepted yet. */
export const EARLY_MAX_FRAMES = 4096;

/** A RESET's payload: a code and a few small facts. */
export const RESET_MAX_BYTES = 4 * KIB;

/** One Socket.IO message from a browser; Engine.IO closes the connection above it. */
export const SOCKET_MESSAGE_MAX_BYTES = 256 * KIB;

/** Bytes a terminal keeps for replay; about 10,000 lines. */
export const TERMINAL_REPLAY_BYTES = 1024 * KIB;

/** The terminal's reader pauses the PTY when the fastest viewer is this far behind. Below the replay size, or bytes would be lost. */
export const TERMINAL_HIGH_MARK_BYTES = 256 * KIB;

export const TERMINALS_PER_WORKSPACE = 64;
export const TERMINAL_GRID_MAX = 1000;

/** Longest guest path, as Linux has it. */
export const PATH_MAX_BYTES = 4096;
/** Entries of one directory listing; the rest is reported as truncated. */
export const DIRECTORY_ENTRIES_MAX = 20_000;
/** Largest file the editor opens or saves whole. */
export const FILE_EDIT_MAX_BYTES = 64 * KIB * KIB;
export const WATCHES_PER_SESSION = 4096;

export const PROCESS_ARGV_MAX_BYTES = 128 * KIB;
export const PROCESS_TIMEOUT_MAX_MS = 24 * 3600 * 1000;
export const PROCESSES_PER_WORKSPACE = 64;

/** Random bytes given to the guest at every handshake, credited to its pool. */
export const ENTROPY_BYTES = 32;
/** Marks a clean start of the link in each direction; see link-handshake.ts. */
export const LINK_TOKEN_BYTES = 32;

/** The longest a workspace may be kept awake by one lease; plans set less. */
export const LEASE_MAX_SECONDS = 24 * 3600;
/** Layers a disk may be made of. Each costs memory and a lookup at every read; background flattening keeps it well below. */
export const DISK_LAYERS_MAX = 24;
/** From this many on a disk is flattened when there is time. */
export const DISK_LAYERS_FLATTEN = 12;
