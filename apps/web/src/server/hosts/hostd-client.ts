/** Calls hostd's HTTP API over its Unix socket. Answers are parsed; refusals become the AtollError they name. */
import { request as httpRequest, type IncomingMessage } from "node:http";
import { AtollError } from "@atoll/protocol/atoll-error";
import {
  type CheckpointInfo,
  type CreateWorkspace,
  checkpointInfo,
  checkpointList,
  type createCheckpoint,
  type createTemplate,
  deleteAnswer,
  type OwnerUsage,
  ownerUsage,
  type restoreCheckpoint,
  type restorePaths,
  restorePathsAnswer,
  revokeAnswer,
  type revokeSessions,
  type TemplateInfo,
  templateInfo,
  tombstoneList,
  type updateWorkspace,
} from "@atoll/protocol/hostd-api";
import { type WorkspaceStatus, workspaceStatus } from "@atoll/protocol/workspace-status";
import { z } from "zod";

/** An answer of hostd is small; a larger one is not an answer. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
const COMMAND_TIMEOUT_MS = 180_000;
const QUERY_TIMEOUT_MS = 10_000;
/** Copying layers, a scrub, or a boot on an emulated machine beside many others. */
const LONG_COMMAND_TIMEOUT_MS = 600_000;

export type CheckpointList = z.output<typeof checkpointList>;

export interface HostdClientOptions {
  socketPath: string;
}

interface Call<S extends z.ZodType> {
  method: string;
  path: string;
  body?: unknown;
  timeoutMs: number;
  answer: S;
  signal?: AbortSignal | undefined;
}

export class HostdClient {
  readonly #socketPath: string;

  constructor(options: HostdClientOptions) {
    this.#socketPath = options.socketPath;
  }

  /** Creates and starts. Safe to repeat with the same body. */
  create(workspaceId: string, body: CreateWorkspace): Promise<WorkspaceStatus> {
    return this.#command("PUT", `/v1/workspaces/${workspaceId}`, body);
  }

  update(workspaceId: string, patch: z.input<typeof updateWorkspace>): Promise<WorkspaceStatus> {
    return this.#command("PATCH", `/v1/workspaces/${workspaceId}`, patch);
  }

  lifecycle(workspaceId: string, verb: "pause" | "resume" | "stop"): Promise<WorkspaceStatus> {
    return this.#command("POST", `/v1/workspaces/${workspaceId}/${verb}`, {});
  }

  /** A lease that keeps it running; 0 seconds ends it. */
  keepAwake(workspaceId: string, seconds: number): Promise<WorkspaceStatus> {
    return this.#command("POST", `/v1/workspaces/${workspaceId}/keep-awake`, { seconds });
  }

  listCheckpoints(workspaceId: string): Promise<CheckpointList> {
    return this.#call({
      method: "GET",
      path: `/v1/workspaces/${workspaceId}/checkpoints`,
      timeoutMs: QUERY_TIMEOUT_MS,
      answer: checkpointList,
    });
  }

  /** Repeating answers the same checkpoint. */
  createCheckpoint(
    workspaceId: string,
    checkpointId: string,
    body: z.input<typeof createCheckpoint>,
  ): Promise<CheckpointInfo> {
    return this.#call({
      method: "PUT",
      path: `/v1/workspaces/${workspaceId}/checkpoints/${checkpointId}`,
      body,
      timeoutMs: COMMAND_TIMEOUT_MS,
      answer: checkpointInfo,
    });
  }

  async deleteCheckpoint(workspaceId: string, checkpointId: string): Promise<void> {
    await this.#call({
      method: "DELETE",
      path: `/v1/workspaces/${workspaceId}/checkpoints/${checkpointId}`,
      timeoutMs: COMMAND_TIMEOUT_MS,
      answer: z.unknown(),
    });
  }

  restore(workspaceId: string, body: z.input<typeof restoreCheckpoint>): Promise<WorkspaceStatus> {
    return this.#call({
      method: "POST",
      path: `/v1/workspaces/${workspaceId}/restore`,
      body,
      timeoutMs: LONG_COMMAND_TIMEOUT_MS,
      answer: workspaceStatus,
    });
  }

  restorePaths(
    workspaceId: string,
    body: z.input<typeof restorePaths>,
  ): Promise<z.output<typeof restorePathsAnswer>> {
    return this.#call({
      method: "POST",
      path: `/v1/workspaces/${workspaceId}/restore-paths`,
      body,
      timeoutMs: LONG_COMMAND_TIMEOUT_MS,
      answer: restorePathsAnswer,
    });
  }

  /** Repeating answers the same template. */
  createTemplate(templateId: string, body: z.input<typeof createTemplate>): Promise<TemplateInfo> {
    return this.#template("PUT", templateId, "", body);
  }

  getTemplate(templateId: string): Promise<TemplateInfo> {
    return this.#template("GET", templateId, "");
  }

  publishTemplate(templateId: string): Promise<TemplateInfo> {
    return this.#template("POST", templateId, "/publish", {});
  }

  async deleteTemplate(templateId: string): Promise<void> {
    await this.#call({
      method: "DELETE",
      path: `/v1/templates/${templateId}`,
      timeoutMs: COMMAND_TIMEOUT_MS,
      answer: z.unknown(),
    });
  }

  /** Destroys key and data. Repeating answers the same evidence. */
  deleteWorkspace(workspaceId: string): Promise<z.output<typeof deleteAnswer>> {
    return this.#delete(`/v1/workspaces/${workspaceId}`);
  }

  /** Destroys everything of an owner, their own key included. */
  deleteOwner(ownerId: string): Promise<z.output<typeof deleteAnswer>> {
    return this.#delete(`/v1/owners/${ownerId}`);
  }

  ownerUsage(ownerId: string): Promise<OwnerUsage> {
    return this.#call({
      method: "GET",
      path: `/v1/owners/${ownerId}/usage`,
      timeoutMs: QUERY_TIMEOUT_MS,
      answer: ownerUsage,
    });
  }

  /** All that was ever erased here: wins over rows that come back from a backup. */
  tombstones(): Promise<z.output<typeof tombstoneList>> {
    return this.#call({
      method: "GET",
      path: "/v1/tombstones",
      timeoutMs: QUERY_TIMEOUT_MS,
      answer: tombstoneList,
    });
  }

  async revokeSessions(body: z.input<typeof revokeSessions>): Promise<void> {
    await this.#call({
      method: "POST",
      path: "/v1/sessions/revoke",
      body,
      timeoutMs: QUERY_TIMEOUT_MS,
      answer: revokeAnswer,
    });
  }

  /** The open stream of events; the caller reads lines and destroys it. */
  events(signal: AbortSignal): Promise<IncomingMessage> {
    return this.#open({ method: "GET", path: "/v1/events", timeoutMs: QUERY_TIMEOUT_MS, signal });
  }

  #command(method: string, path: string, body: unknown): Promise<WorkspaceStatus> {
    return this.#call({ method, path, body, timeoutMs: LONG_COMMAND_TIMEOUT_MS, answer: workspaceStatus });
  }

  #template(method: string, templateId: string, verb: string, body?: unknown): Promise<TemplateInfo> {
    const timeoutMs = method === "PUT" ? LONG_COMMAND_TIMEOUT_MS : QUERY_TIMEOUT_MS;
    return this.#call({
      method,
      path: `/v1/templates/${templateId}${verb}`,
      body,
      timeoutMs,
      answer: templateInfo,
    });
  }

  #delete(path: string): Promise<z.output<typeof deleteAnswer>> {
    return this.#call({ method: "DELETE", path, timeoutMs: COMMAND_TIMEOUT_MS, answer: deleteAnswer });
  }

  async #call<S extends z.ZodType>(call: Call<S>): Promise<z.output<S>> {
    const signal = AbortSignal.timeout(call.timeoutMs);
    const response = await this.#open({ ...call, signal });
    const value = await readJson(response, signal);
    if ((response.statusCode ?? 500) >= 400) throw AtollError.fromWire(errorOf(value));
    const parsed = call.answer.safeParse(value);
    if (parsed.success) return parsed.data;
    throw new AtollError("internal", `hostd answered ${call.path} out of shape`, { cause: parsed.error });
  }

  /** Resolves with the head of the answer. */
  #open(call: Omit<Call<z.ZodType>, "answer">): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const body = call.body === undefined ? undefined : JSON.stringify(call.body);
    const outgoing = httpRequest(
      {
        socketPath: this.#socketPath,
        method: call.method,
        path: call.path,
        headers: body === undefined ? {} : { "content-type": "application/json" },
        ...(call.signal ? { signal: call.signal } : {}),
      },
      resolve,
    );
    outgoing.on("error", (cause) => reject(unreachable(cause, call.signal)));
    outgoing.end(body);
    return promise;
  }
}

function unreachable(cause: unknown, signal: AbortSignal | undefined): AtollError {
  const isLate = signal?.aborted && signal.reason instanceof Error && signal.reason.name === "TimeoutError";
  return new AtollError(isLate ? "request.timeout" : "host.unreachable", undefined, { cause });
}

async function readJson(response: IncomingMessage, signal: AbortSignal): Promise<unknown> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      sizeBytes += chunk.length;
      if (sizeBytes > MAX_ANSWER_BYTES) throw new AtollError("internal", "hostd's answer is too large");
      chunks.push(chunk);
    }
  } catch (cause) {
    throw cause instanceof AtollError ? cause : unreachable(cause, signal);
  }
  const text = Buffer.concat(chunks).toString("utf8");
  try {
    return text === "" ? {} : JSON.parse(text);
  } catch (cause) {
    throw new AtollError("internal", "hostd's answer is not JSON", { cause });
  }
}

/** The wire error stands alone or under `error`. */
function errorOf(value: unknown): unknown {
  return typeof value === "object" && value !== null && "error" in value ? value.error : value;
}
