/** The views of this host: at most one machine for each state that is looked at, shared by all who look at it. */
import type { Clock } from "@atoll/base/clock";
import { AtollError } from "@atoll/protocol/atoll-error";
import { PLANS } from "@atoll/protocol/plans";
import type { Logger } from "pino";
import type { MachineSource } from "../machines/machine-source.ts";
import type { Admission } from "../workspaces/admission.ts";
import type { Workspace } from "../workspaces/workspace.ts";
import type { GuestOutbound } from "../workspaces/workspace-core.ts";
import { View, type ViewUse } from "./view.ts";

export type ViewedWorkspace = Pick<Workspace, "id" | "record" | "checkpointOwner" | "whileOff" | "isDeleted">;

export interface ViewRegistryOptions {
  source: Pick<MachineSource, "openView">;
  /** The way out of a view's machine, by the workspace's preset: a push to a git remote. */
  createOutbound: (workspace: ViewedWorkspace) => GuestOutbound;
  admission?: Pick<Admission, "reserve" | "release">;
  clock: Clock;
  logger: Logger;
  /** Machines at once. */
  maxViews?: number;
}

const VIEWS_MAX = 4;
/** Tabs on one view; the plan's limit of sessions is not for views. */
const USERS_PER_VIEW = 16;

export class ViewRegistry implements AsyncDisposable {
  readonly #options: ViewRegistryOptions;
  readonly #views = new Set<View>();
  #count = 0;
  #isClosed = false;

  constructor(options: ViewRegistryOptions) {
    this.#options = options;
  }

  get viewCount(): number {
    return this.#views.size;
  }

  /**
   * Answers at once; `ready` tells how the start went. The caller has checked that the user may look.
   * @throws AtollError host.full, host.draining, workspace.deleted, link.stream_limit
   */
  open(workspace: ViewedWorkspace, checkpointId: string | null): ViewUse {
    if (this.#isClosed) throw new AtollError("host.draining");
    if (workspace.isDeleted) throw new AtollError("workspace.deleted");
    const known = this.#find(workspace.id).find(
      (view) => view.checkpointId === checkpointId && !view.isClosing,
    );
    if (known !== undefined) {
      if (known.userCount >= USERS_PER_VIEW) {
        throw new AtollError("link.stream_limit", "too many tabs on this view", {
          details: { limit: USERS_PER_VIEW },
        });
      }
      return known.use();
    }
    this.#makeRoom();
    const view = this.#create(workspace, checkpointId);
    this.#views.add(view);
    return view.use();
  }

  presetChanged(workspaceId: string): void {
    for (const view of this.#find(workspaceId)) view.presetChanged();
  }

  /** Of the disk as it lies there: it is about to be written. Resolves when no machine has it open. */
  async endCurrent(workspaceId: string): Promise<void> {
    const error = new AtollError("view.unavailable", "the workspace starts");
    const views = this.#find(workspaceId).filter(({ checkpointId }) => checkpointId === null);
    await Promise.all(views.map((view) => view.close(error)));
  }

  /** Of a checkpoint that is being deleted. */
  async endCheckpoint(workspaceId: string, checkpointId: string): Promise<void> {
    const views = this.#find(workspaceId).filter((view) => view.checkpointId === checkpointId);
    await Promise.all(views.map((view) => view.close(new AtollError("checkpoint.not_found"))));
  }

  /** All of a workspace. Resolves when no machine has its disks open. */
  async endWorkspace(workspaceId: string, error: AtollError): Promise<void> {
    await Promise.all(this.#find(workspaceId).map((view) => view.close(error)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#views].map((view) => view.close(new AtollError("host.draining"))));
  }

  #find(workspaceId: string): View[] {
    return [...this.#views].filter((view) => view.workspaceId === workspaceId);
  }

  /** One that nobody looks at makes room for one that somebody wants to. */
  #makeRoom(): void {
    const { maxViews = VIEWS_MAX } = this.#options;
    const live = [...this.#views].filter(({ isClosing }) => !isClosing);
    if (live.length < maxViews) return;
    const [longestIdle] = live
      .filter(({ idleSinceMs }) => idleSinceMs !== undefined)
      .sort((a, b) => (a.idleSinceMs ?? 0) - (b.idleSinceMs ?? 0));
    if (longestIdle === undefined) throw new AtollError("host.full", "too many views are open");
    void longestIdle.close(new AtollError("view.unavailable", "another view took its place"));
  }

  #create(workspace: ViewedWorkspace, checkpointId: string | null): View {
    const { source, createOutbound, admission, clock, logger } = this.#options;
    const place = `view-${++this.#count}`;
    const view: View = new View({
      workspaceId: workspace.id,
      checkpointId,
      record: workspace.record,
      outbound: createOutbound(workspace),
      clock,
      open: async (signal) => {
        await admission?.reserve(place, PLANS.free.memoryMb, { needsDisk: false });
        signal.throwIfAborted();
        // Of the disk as it lies there only while nothing can start on it.
        if (checkpointId === null) {
          return workspace.whileOff((owner, bounded) => source.openView(owner, null, bounded), {
            signal,
            onLate: ({ machine }) => machine.kill(),
          });
        }
        return source.openView(workspace.checkpointOwner, checkpointId, signal);
      },
      onClosed: () => {
        admission?.release(place);
        this.#views.delete(view);
        logger.info({ workspaceId: workspace.id, checkpointId }, "view closed");
      },
    });
    logger.info({ workspaceId: workspace.id, checkpointId }, "view opened");
    return view;
  }
}
