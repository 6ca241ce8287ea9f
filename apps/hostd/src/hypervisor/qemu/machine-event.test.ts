import { expect, test } from "vitest";
import { machineEvent } from "./machine-event.ts";

const DISK = "/machine/peripheral/disk/virtio-backend";
const refused = (data: Record<string, unknown>) => machineEvent({ event: "BLOCK_IO_ERROR", data });

test("the agent's end of the link opens and closes; other ports are nobody's business", () => {
  const changed = (id: string, open: boolean) =>
    machineEvent({ event: "VSERPORT_CHANGE", data: { id, open } });
  expect([changed("link", false), changed("link", true), changed("other", false)]).toEqual([
    { type: "port", isOpen: false },
    { type: "port", isOpen: true },
    undefined,
  ]);
});

test.each([
  ["a full disk", { action: "stop", nospace: true }, "host.disk_full", true],
  ["a disk that fails", { action: "stop", nospace: false }, "host.disk_failed", true],
  ["a place that cannot be read", { action: "report", nospace: false }, "host.disk_failed", false],
  ["an error whose reason is not told", { action: "stop" }, "host.disk_failed", true],
])("a write the host refuses has a name: %s", (_what, data, code, isStanding) => {
  const event = refused({ "qom-path": DISK, device: "", operation: "write", ...data });
  expect(event).toEqual({ type: "disk_error", code, isStanding });
});

test("what another disk, an ignored error or another event says is not told", () => {
  expect([
    refused({ "qom-path": "/machine/peripheral/view/virtio-backend", action: "report" }),
    refused({ "qom-path": DISK, action: "ignore" }),
    refused({ action: "stop" }),
    machineEvent({ event: "STOP", data: {} }),
  ]).toEqual([undefined, undefined, undefined, undefined]);
});
