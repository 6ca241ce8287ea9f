import type { Socket } from "node:net";
import { ManualClock } from "@atoll/base/manual-clock";
import { expect, test } from "vitest";
import { BlockGraph } from "./block-graph.ts";
import { layerNodes } from "./block-nodes.ts";
import { QmpClient } from "./qmp-client.ts";
import { type ScriptedMonitor, scriptedMonitor } from "./scripted-monitor.ts";

const TOP = "00000000-0000-4000-8000-000000000001";
const BELOW = "00000000-0000-4000-8000-000000000002";
const ENDED = '{"event": "BLOCK_JOB_COMPLETED", "data": {"device": "flatten", "type": "stream"';

/** QEMU's side of one job. `isRunning` from the beginning: an earlier life of hostd started it. */
class JobMonitor implements AsyncDisposable {
  readonly seen: string[] = [];
  isRunning = false;
  /** Answers every command that has one of its own. */
  on: Record<string, (socket: Socket) => void> = {};
  #monitor: ScriptedMonitor | undefined;
  #client: QmpClient | undefined;

  async graph(clock = new ManualClock()): Promise<BlockGraph> {
    this.#monitor = await scriptedMonitor((command, id, socket) => {
      this.seen.push(command);
      const jobs = this.isRunning ? [{ id: "flatten", "current-progress": 7, "total-progress": 9 }] : [];
      const nodes = [TOP, BELOW].map((id) => ({ "node-name": layerNodes("d", id).layer }));
      const answers: Record<string, unknown> = { "query-jobs": jobs, "query-blockstats": nodes };
      socket.write(`${JSON.stringify({ return: answers[command] ?? {}, id })}\n`);
      this.on[command]?.(socket);
    });
    this.#client = await QmpClient.connect(this.#monitor.path, { timeoutMs: 5000 });
    return new BlockGraph(this.#client, clock);
  }

  count(command: string): number {
    return this.seen.filter((name) => name === command).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client?.close();
    await this.#monitor?.[Symbol.asyncDispose]();
  }
}

test("a finished job is made durable before the layers below are closed", async () => {
  await using monitor = new JobMonitor();
  const graph = await monitor.graph();
  monitor.on["block-stream"] = (socket) => socket.write(`${ENDED}}}\n`);
  await graph.flattenInto(TOP, 0);
  const order = ["block-stream", "blockdev-reopen", "blockdev-del"];
  expect(monitor.seen.filter((command) => order.includes(command))).toEqual(order);
});

test("a job that failed is an error, and nothing below the top is closed", async () => {
  await using monitor = new JobMonitor();
  const graph = await monitor.graph();
  monitor.on["block-stream"] = (socket) => socket.write(`${ENDED}, "error": "No space left on device"}}\n`);
  await expect(graph.flattenInto(TOP, 0)).rejects.toMatchObject({ code: "vm.monitor_failed" });
  expect(monitor.count("blockdev-del")).toBe(0);
});

test("a job that an earlier life started is waited for, not started again, and ended when asked", async () => {
  await using monitor = new JobMonitor();
  monitor.isRunning = true;
  const graph = await monitor.graph();
  monitor.on["block-job-cancel"] = (socket) => {
    monitor.isRunning = false;
    socket.write('{"event": "BLOCK_JOB_CANCELLED", "data": {"device": "flatten"}}\n');
  };
  const waiting = graph.flattenInto(TOP, 0);
  waiting.catch(() => {});
  await expect.poll(() => monitor.count("query-jobs")).toBe(1);
  await graph.cancelFlatten();
  await expect(waiting).rejects.toMatchObject({ code: "request.aborted" });
  expect(monitor.count("block-stream")).toBe(0);
});

test("a job that makes no progress for minutes is ended", async () => {
  await using monitor = new JobMonitor();
  const clock = new ManualClock();
  const graph = await monitor.graph(clock);
  monitor.on["block-stream"] = () => {
    monitor.isRunning = true;
  };
  monitor.on["block-job-cancel"] = () => {
    monitor.isRunning = false;
  };
  const flattening = graph.flattenInto(TOP, 0);
  flattening.catch(() => {});
  const ended = () => {
    clock.advance(15_000);
    return monitor.count("block-job-cancel");
  };
  await expect.poll(ended, { timeout: 30_000, interval: 5 }).toBe(1);
  expect(monitor.count("query-jobs")).toBeGreaterThan(8);
  await expect(flattening).rejects.toMatchObject({ code: "vm.monitor_failed" });
});
