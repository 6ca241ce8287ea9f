/**
 * The one table of error codes. HTTP status, retry class and words for people derive from it;
 * `what`, `why` and `now` are shown in the interface, the message of an error goes to logs only.
 */
export type RetryClass = "never" | "later" | "after_reconnect" | "after_change";

export interface ErrorSpec {
  http: number;
  retry: RetryClass;
  what: string;
  why: string;
  now: string;
}

export const ERRORS = {
  // Anything
  internal: {
    http: 500,
    retry: "later",
    what: "Something went wrong on our side.",
    why: "An unexpected fault was logged.",
    now: "Try again; if it stays, send us the code and the time.",
  },
  "request.invalid": {
    http: 400,
    retry: "never",
    what: "That request was not understood.",
    why: "A value is missing, malformed or out of range.",
    now: "Correct the highlighted value and try again.",
  },
  "request.too_large": {
    http: 413,
    retry: "never",
    what: "That is too large.",
    why: "It is over the limit for one request.",
    now: "Send less at once.",
  },
  "request.aborted": {
    http: 499,
    retry: "never",
    what: "Cancelled.",
    why: "The caller stopped waiting.",
    now: "Nothing to do.",
  },
  "request.timeout": {
    http: 504,
    retry: "later",
    what: "That took too long.",
    why: "The deadline passed before an answer came.",
    now: "Try again in a moment.",
  },
  "request.rate_limited": {
    http: 429,
    retry: "later",
    what: "Too many requests.",
    why: "You are over the allowed rate.",
    now: "Wait a moment, then try again.",
  },
  "request.unknown": {
    http: 404,
    retry: "never",
    what: "There is nothing at this address.",
    why: "The name or route does not exist.",
    now: "Check the address.",
  },
  // Identity
  "auth.required": {
    http: 401,
    retry: "after_change",
    what: "Please sign in.",
    why: "This needs an account.",
    now: "Sign in and come back.",
  },
  "auth.invalid_credentials": {
    http: 401,
    retry: "after_change",
    what: "That e-mail and password do not match.",
    why: "One of the two is wrong.",
    now: "Check both and try again.",
  },
  "auth.email_taken": {
    http: 409,
    retry: "after_change",
    what: "This e-mail already has an account.",
    why: "An account is tied to one address.",
    now: "Sign in instead, or use another address.",
  },
  "auth.forbidden": {
    http: 403,
    retry: "never",
    what: "You may not do that.",
    why: "Your account has no right to it.",
    now: "Ask the owner for access.",
  },
  "ticket.invalid": {
    http: 401,
    retry: "after_reconnect",
    what: "Your connection pass is not valid.",
    why: "It was altered, or meant for something else.",
    now: "Reload the page.",
  },
  "ticket.expired": {
    http: 401,
    retry: "after_reconnect",
    what: "Your connection pass ran out.",
    why: "Passes live for one minute.",
    now: "Reconnecting gets a new one.",
  },
  "ticket.used": {
    http: 403,
    retry: "after_reconnect",
    what: "This preview link was already used.",
    why: "Each link opens once.",
    now: "Open the preview again from the workspace.",
  },
  "origin.refused": {
    http: 403,
    retry: "never",
    what: "This page may not connect here.",
    why: "Its address is not the application's.",
    now: "Open the application at its own address.",
  },
  "host.refused": {
    http: 421,
    retry: "never",
    what: "This address is not served here.",
    why: "The host name is not one of ours.",
    now: "Check the address.",
  },
  // Plans
  "plan.workspace_limit": {
    http: 409,
    retry: "after_change",
    what: "You have all the workspaces your plan allows.",
    why: "Each plan has a number of workspaces.",
    now: "Delete one, or change the plan.",
  },
  "plan.session_limit": {
    http: 409,
    retry: "after_change",
    what: "This workspace is open in as many tabs as your plan allows.",
    why: "Each plan has a number of sessions for one workspace.",
    now: "Take over the oldest tab, close one, or change the plan.",
  },
  "plan.size_limit": {
    http: 409,
    retry: "after_change",
    what: "That size is above your plan.",
    why: "Each plan has a largest size.",
    now: "Choose a smaller size, or change the plan.",
  },
  // Workspaces
  "workspace.not_found": {
    http: 404,
    retry: "never",
    what: "There is no such workspace.",
    why: "It was deleted, or it is not yours.",
    now: "Go back to your workspaces.",
  },
  "workspace.not_running": {
    http: 409,
    retry: "later",
    what: "The workspace is not running.",
    why: "It is paused, stopped or still starting.",
    now: "Resume it and try again.",
  },
  "workspace.busy": {
    http: 409,
    retry: "later",
    what: "The workspace is in the middle of something.",
    why: "Another operation has not finished.",
    now: "Wait for it to finish.",
  },
  "workspace.stale_generation": {
    http: 409,
    retry: "later",
    what: "The workspace has moved on.",
    why: "A newer operation was accepted meanwhile.",
    now: "Refresh and try again.",
  },
  "workspace.deleted": {
    http: 410,
    retry: "never",
    what: "This workspace was deleted.",
    why: "Its key is destroyed.",
    now: "Create a new one.",
  },
  "workspace.failed": {
    http: 500,
    retry: "later",
    what: "The workspace could not start.",
    why: "Its machine stopped unexpectedly.",
    now: "Start it again; your saved files are on its disk.",
  },
  // Sessions
  "session.taken_over": {
    http: 409,
    retry: "after_change",
    what: "This workspace was taken over by another tab.",
    why: "Your plan's number of sessions was reached.",
    now: "Take it back here, or go on in the other tab.",
  },
  "session.revoked": {
    http: 401,
    retry: "after_change",
    what: "You were signed out.",
    why: "The session was ended.",
    now: "Sign in again.",
  },
  // Host
  "host.full": {
    http: 503,
    retry: "later",
    what: "There is no room for another machine right now.",
    why: "This host's memory or disk is used up.",
    now: "Pause a workspace, or try again shortly.",
  },
  "host.disk_full": {
    http: 507,
    retry: "later",
    what: "The host's disk is full.",
    why: "A snapshot needs free space before it starts.",
    now: "Free space on the host; the workspace stays running.",
  },
  "host.unreachable": {
    http: 503,
    retry: "later",
    what: "The machine host does not answer.",
    why: "It is restarting or down.",
    now: "Your machine keeps running; we keep trying.",
  },
  "host.draining": {
    http: 503,
    retry: "later",
    what: "The host is shutting down.",
    why: "Its machines are being paused.",
    now: "Come back in a moment.",
  },
  "host.emulation_refused": {
    http: 503,
    retry: "never",
    what: "This host only has emulation.",
    why: "Emulation is no security boundary, so it is refused beyond localhost.",
    now: "Use a host with KVM, or set the explicit switch.",
  },
  "vm.start_failed": {
    http: 500,
    retry: "later",
    what: "The virtual machine did not start.",
    why: "The machine monitor ended early.",
    now: "Try again; the code and the log tell more.",
  },
  "vm.gone": {
    http: 502,
    retry: "later",
    what: "The virtual machine stopped.",
    why: "Its process ended.",
    now: "Start the workspace again.",
  },
  "vm.monitor_failed": {
    http: 500,
    retry: "later",
    what: "The virtual machine did not obey.",
    why: "Its monitor refused or did not answer a command.",
    now: "Try again.",
  },
  "template.unavailable": {
    http: 503,
    retry: "later",
    what: "The template is still being prepared.",
    why: "A template is baked once for each image and size.",
    now: "Try again in about a minute.",
  },
  "image.unknown": {
    http: 404,
    retry: "never",
    what: "There is no such image.",
    why: "The name is not built on this host.",
    now: "Choose another image.",
  },
  // Snapshots and keys
  "snapshot.invalid": {
    http: 500,
    retry: "never",
    what: "The saved memory could not be used.",
    why: "It is damaged or belongs to something else.",
    now: "The workspace starts from its disk; saved files are intact.",
  },
  "snapshot.incompatible": {
    http: 409,
    retry: "never",
    what: "The saved memory is from another version.",
    why: "The machine monitor or the template changed.",
    now: "The workspace starts from its disk; saved files are intact.",
  },
  "key.not_found": {
    http: 410,
    retry: "never",
    what: "The key of this data does not exist.",
    why: "It was destroyed, or never made.",
    now: "The data cannot be read any more.",
  },
  "key.unavailable": {
    http: 503,
    retry: "later",
    what: "The key store does not answer.",
    why: "It is down or restarting.",
    now: "Running machines go on; try again soon.",
  },
  // Link
  "link.lost": {
    http: 502,
    retry: "after_reconnect",
    what: "The connection to the machine was lost.",
    why: "The machine or its host restarted.",
    now: "Reconnecting happens by itself.",
  },
  "link.protocol": {
    http: 502,
    retry: "after_reconnect",
    what: "The machine sent something unreadable.",
    why: "A frame broke the protocol.",
    now: "Reconnecting happens by itself.",
  },
  "link.too_old": {
    http: 409,
    retry: "never",
    what: "This machine is too old for that.",
    why: "It was started before the feature existed.",
    now: "Restart the workspace to update it.",
  },
  "link.stream_limit": {
    http: 429,
    retry: "later",
    what: "Too many things are open at once.",
    why: "One connection has a limit of streams.",
    now: "Close some terminals or files.",
  },
  "stream.reset": {
    http: 502,
    retry: "after_reconnect",
    what: "That stream was closed.",
    why: "The other side ended it.",
    now: "Open it again.",
  },
  // Terminals
  "terminal.not_found": {
    http: 404,
    retry: "never",
    what: "That terminal does not exist.",
    why: "Its shell ended, or the machine restarted.",
    now: "Open a new terminal.",
  },
  "terminal.limit_reached": {
    http: 409,
    retry: "after_change",
    what: "There are too many terminals.",
    why: "A workspace has a limit.",
    now: "Close one first.",
  },
  // Files
  "file.not_found": {
    http: 404,
    retry: "never",
    what: "That file does not exist.",
    why: "It was moved or deleted.",
    now: "Refresh the tree.",
  },
  "file.exists": {
    http: 409,
    retry: "after_change",
    what: "Something with that name exists.",
    why: "Names are unique in a folder.",
    now: "Choose another name.",
  },
  "file.conflict": {
    http: 409,
    retry: "after_change",
    what: "The file changed on disk since you opened it.",
    why: "Another tab or program wrote it.",
    now: "Compare, then overwrite or take theirs. Nothing was lost.",
  },
  "file.denied": {
    http: 403,
    retry: "never",
    what: "That file may not be opened.",
    why: "Its permissions or its kind forbid it.",
    now: "Change its permissions in a terminal.",
  },
  "file.is_directory": {
    http: 409,
    retry: "never",
    what: "That is a folder.",
    why: "A file was expected.",
    now: "Open a file in it.",
  },
  "file.not_directory": {
    http: 409,
    retry: "never",
    what: "That is not a folder.",
    why: "A folder was expected.",
    now: "Choose its folder.",
  },
  "file.not_regular": {
    http: 409,
    retry: "never",
    what: "That is not an ordinary file.",
    why: "Devices, pipes and sockets cannot be edited.",
    now: "Use a terminal for it.",
  },
  "file.not_empty": {
    http: 409,
    retry: "after_change",
    what: "The folder is not empty.",
    why: "It still has files in it.",
    now: "Delete it with its contents.",
  },
  "file.too_large": {
    http: 413,
    retry: "never",
    what: "That file is too large to edit here.",
    why: "The editor has a limit.",
    now: "Use a terminal for it.",
  },
  "file.no_space": {
    http: 507,
    retry: "after_change",
    what: "The workspace's disk is full.",
    why: "There is no room to write.",
    now: "Delete something; nothing was overwritten.",
  },
  "file.name_invalid": {
    http: 400,
    retry: "never",
    what: "That name cannot be used.",
    why: "Names hold no slash, no NUL, and at most 255 bytes.",
    now: "Choose another name.",
  },
  "file.watch_limit": {
    http: 409,
    retry: "after_change",
    what: "Too many folders are watched.",
    why: "A session has a limit.",
    now: "Collapse some folders.",
  },
  // Processes and ports
  "process.not_started": {
    http: 422,
    retry: "never",
    what: "The program did not start.",
    why: "It does not exist or may not be run.",
    now: "Check its name and permissions.",
  },
  "process.limit_reached": {
    http: 409,
    retry: "later",
    what: "Too many programs are running through the interface.",
    why: "A workspace has a limit.",
    now: "Wait for one to end.",
  },
  "port.invalid": {
    http: 400,
    retry: "never",
    what: "That port cannot be opened.",
    why: "Ports from 1024 to 65535 are served, without the reserved ones.",
    now: "Let your server listen on another port.",
  },
  "port.nothing_listening": {
    http: 502,
    retry: "later",
    what: "Nothing is listening on this port.",
    why: "The server in the workspace is not running, or still starting.",
    now: "Start it; this page tries again by itself.",
  },
  "port.bad_answer": {
    http: 502,
    retry: "later",
    what: "The server on this port did not answer properly.",
    why: "It closed the connection, or sent something that is not HTTP.",
    now: "Look at its output in the terminal, then reload.",
  },
  "preview.not_open": {
    http: 401,
    retry: "after_change",
    what: "This preview is not open in this browser.",
    why: "Previews are private: each browser opens them from the workspace.",
    now: "Open it from the workspace. If this is inside a frame, open it in a tab of its own.",
  },
  // Outbound
  "egress.denied": {
    http: 403,
    retry: "after_change",
    what: "This address is not allowed.",
    why: "The workspace's network setting does not include it.",
    now: "Change the network setting of the workspace.",
  },
  "egress.private_address": {
    http: 403,
    retry: "never",
    what: "That address is private.",
    why: "Machines never reach private or internal networks.",
    now: "Use a public address.",
  },
  "egress.unreachable": {
    http: 502,
    retry: "later",
    what: "That address could not be reached.",
    why: "Its name was not found, or it did not answer.",
    now: "Check the name and try again.",
  },
  "egress.limit_reached": {
    http: 429,
    retry: "later",
    what: "Too many outbound connections.",
    why: "A workspace has a limit.",
    now: "Wait for some to end.",
  },
} as const satisfies Record<string, ErrorSpec>;

export type ErrorCode = keyof typeof ERRORS;

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === "string" && Object.hasOwn(ERRORS, value);
}
