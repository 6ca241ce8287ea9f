import { ManualClock } from "@atoll/base/manual-clock";
import { expect, test } from "vitest";
import { z } from "zod";
import { QmpClient } from "./qmp-client.ts";
import { scriptedMonitor } from "./scripted-monitor.ts";

const empty = z.strictObject({});

test("answers find their command, and events are told apart", async () => {
  await using fake = await scriptedMonitor((command, id, socket) => {
    socket.write(`{"event": "STOP", "timestamp": {}}\n{"return": {"na`);
    socket.write(`me": "${command}"}, "id": ${id}}\n`);
  });
  const client = await QmpClient.connect(fake.path, { timeoutMs: 5000 });
  const events: string[] = [];
  client.onEvent(({ event }) => events.push(event));
  const replies = await Promise.all(
    ["one", "two"].map((name) => client.execute(name, {}, z.object({ name: z.string() }))),
  );
  expect({ replies, events }).toEqual({
    replies: [{ name: "one" }, { name: "two" }],
    events: ["STOP", "STOP"],
  });
  client.close();
});

test("a refusal, an unexpected shape and a vanished monitor are typed errors", async () => {
  await using fake = await scriptedMonitor((command, id, socket) => {
    if (command === "refused")
      socket.write(`{"error": {"class": "GenericError", "desc": "no"}, "id": ${id}}\n`);
    else if (command === "odd") socket.write(`{"return": 7, "id": ${id}}\n`);
    else if (command === "garbage") socket.write("{]\n");
  });
  const client = await QmpClient.connect(fake.path, { timeoutMs: 5000 });
  await expect(client.execute("refused", {}, empty)).rejects.toMatchObject({ code: "vm.monitor_failed" });
  await expect(client.execute("odd", {}, empty)).rejects.toMatchObject({ code: "vm.monitor_failed" });
  await expect(client.execute("garbage", {}, empty)).rejects.toMatchObject({ code: "vm.gone" });
  await client.closed;
  await expect(client.execute("late", {}, empty)).rejects.toMatchObject({ code: "vm.gone" });
});

test("a command without an answer ends at its deadline", async () => {
  const clock = new ManualClock();
  await using fake = await scriptedMonitor((_command, _id, socket) => socket.write('{"event": "SEEN"}\n'));
  const client = await QmpClient.connect(fake.path, { timeoutMs: 5000, clock });
  client.onEvent(() => clock.advance(1000));
  await expect(client.execute("mute", {}, empty, { timeoutMs: 1000 })).rejects.toMatchObject({
    code: "vm.monitor_failed",
  });
  client.close();
});
