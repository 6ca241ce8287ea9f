import { setTimeout as delay } from "node:timers/promises";
import type { WorkspaceState } from "@atoll/protocol/workspace-status";
import { type BrowserSession, openBrowserSession } from "../bench/browser-session.ts";
import type { ChaosHost } from "./chaos-host.ts";
import { runInGuest } from "./in-guest.ts";

const POLL_MS = 25;
/** Who sees nothing happen presses again: the host may have had no room, or begun to end. */
const WAKE_AGAIN_MS = 5000;
/** More than the tabs of any cycle: none takes over another's place. */
const SESSIONS_MAX = 8;
const ASLEEP: readonly WorkspaceState[] = ["paused", "stopped", "archived", "failed"];

/** One tab: stays open through pauses, connects again when it was cut off, and wakes what sleeps once somebody asks. */
export class UserTab implements Disposable {
  readonly #host: ChaosHost;
  readonly #gatewayPort: number;
  #session: BrowserSession | undefined;

  constructor(host: ChaosHost, gatewayPort: number) {
    this.#host = host;
    this.#gatewayPort = gatewayPort;
  }

  /** As it is, if it can be worked in; else as `enter`. */
  async opened(timeoutMs: number, signal: AbortSignal): Promise<BrowserSession> {
    const session = this.#session;
    if (session?.isOpen && session.status.state === "running") return session;
    return this.enter(timeoutMs, signal);
  }

  /** Connected to a workspace that runs, and whose agent has just answered. */
  async enter(timeoutMs: number, signal: AbortSignal): Promise<BrowserSession> {
    const endMs = performance.now() + timeoutMs;
    let lastError: unknown;
    let woken: { session: BrowserSession; state: WorkspaceState; atMs: number } | undefined;
    for (;;) {
      signal.throwIfAborted();
      try {
        const session = await this.#connected();
        const { state } = session.status;
        const isAsked = woken?.session === session && woken.state === state;
        const isPatient = isAsked && performance.now() - (woken?.atMs ?? 0) < WAKE_AGAIN_MS;
        if (ASLEEP.includes(state) && !isPatient) {
          woken = { session, state, atMs: performance.now() };
          session.send({ type: "wake" });
        } else if (state === "running") {
          await runInGuest(session.mux, "true");
          return session;
        }
      } catch (error) {
        lastError = this.#host.noted("a tab", error);
      }
      if (performance.now() > endMs) {
        const state = this.#session?.status.state ?? "not connected";
        throw new Error(`no way in within ${timeoutMs / 1000} s: ${state}`, { cause: lastError });
      }
      await delay(POLL_MS);
    }
  }

  [Symbol.dispose](): void {
    this.#session?.[Symbol.dispose]();
    this.#session = undefined;
  }

  async #connected(): Promise<BrowserSession> {
    const known = this.#session;
    if (known?.isOpen) {
      for (const code of known.takeNotices()) this.#host.noteCode("a notice", code);
      return known;
    }
    this[Symbol.dispose]();
    const { workspaceId } = this.#host;
    const options = { maxSessions: SESSIONS_MAX };
    this.#session = await openBrowserSession(this.#host, workspaceId, this.#gatewayPort, options);
    return this.#session;
  }
}
