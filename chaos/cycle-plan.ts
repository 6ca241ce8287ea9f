import type { SeededRandom } from "@atoll/hostd/proof/world/seeded-random";

/**
 * How a workspace leaves and comes back: within the grace time; sealed; with several tabs resuming at once; paused by
 * hostd's own end; put back to a checkpoint with its memory; paused for idleness; or with its user returning at the very
 * moment the idle time ends.
 */
export const PATHS = ["grace", "sealed", "tabs", "drain", "restore", "idle", "return"] as const;
export type CyclePath = (typeof PATHS)[number];

/**
 * What is done meanwhile. `vmm_stop`: SIGSTOP for good; `vmm_stall`: SIGSTOP for seconds; `halt`, `reboot`, `panic`: of the
 * guest; `agent`: its process in the guest is killed; `hostd_twice`: again while it recovers.
 */
export type Fault =
  | "nobody"
  | ("vmm" | "vmm_stop" | "vmm_stall")
  | ("halt" | "reboot" | "panic" | "agent")
  | ("hostd" | "hostd_twice" | "gateway" | "web" | "postgres");

const IN_GUEST: ReadonlySet<Fault> = new Set(["halt", "reboot", "panic", "agent"]);
export const isInGuest = (fault: Fault): boolean => IN_GUEST.has(fault);

export interface CyclePlan {
  path: CyclePath;
  fault: Fault;
  /** When, as a share of what the path usually takes. */
  at: number;
  /** Where the path itself has a choice: 0 ≤ x < 1. */
  turn: number;
}

/** Every path once without harm, then faults of each kind, on a path that lets them happen; then whatever the seed says. */
const BEGINNING: readonly (readonly [CyclePath, Fault])[] = [
  ...PATHS.map((path) => [path, "nobody"] as const),
  ["sealed", "vmm"],
  ["grace", "vmm_stop"],
  ["sealed", "vmm_stall"],
  ["grace", "halt"],
  ["tabs", "panic"],
  ["tabs", "agent"],
  ["restore", "hostd"],
  ["sealed", "hostd_twice"],
  ["tabs", "gateway"],
  ["drain", "web"],
  ["sealed", "postgres"],
];
export const BEGINNING_CYCLES = BEGINNING.length;
/** What has met something at least once when those are over. */
export const BEGINNING_FAULTS: ReadonlySet<Fault> = new Set(BEGINNING.map(([, fault]) => fault));

const DRAWN_PATHS: readonly CyclePath[] = [
  ...(["grace", "grace", "grace", "sealed", "sealed", "sealed"] as const),
  ...(["tabs", "tabs", "restore", "restore", "drain", "drain", "idle", "return"] as const),
];
/** Those that end with a cold boot take several times as long. */
const DRAWN_FAULTS: readonly Fault[] = [
  ...(["nobody", "nobody", "nobody", "hostd", "hostd", "hostd", "hostd_twice"] as const),
  ...(["gateway", "gateway", "web", "postgres", "vmm", "vmm_stall"] as const),
];
/** One in so many of the drawn ones is of a kind that takes longest: until it is noticed, or until a machine has booted. */
const SLOW_EVERY = 20;
const SLOW_FAULTS: readonly Fault[] = ["vmm_stop", "halt", "reboot", "panic", "agent"];

/** As a share of a path's time: a little after its end at the latest. */
const LATE = 1.2;
/** What the beginning is to meet is certain to be there: the machine of a sealed workspace is not. */
const WHILE_THERE = 0.5;

export function planCycle(index: number, random: SeededRandom): CyclePlan {
  const isSlow = random.below(SLOW_EVERY) === 0;
  const drawn = [random.pick(DRAWN_PATHS), random.pick(isSlow ? SLOW_FAULTS : DRAWN_FAULTS)] as const;
  const [path, fault] = BEGINNING[index] ?? drawn;
  const at = random.next() * (index < BEGINNING_CYCLES ? WHILE_THERE : LATE);
  const turn = random.next();
  // What is to happen within the guest would be in the checkpoint as well, and happen again after the cycle.
  return { path: path === "restore" && isInGuest(fault) ? "sealed" : path, fault, at, turn };
}
