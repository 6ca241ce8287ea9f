import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TransitServer } from "@atoll/keys/testing/transit-server";
import { TransitKeyStore } from "@atoll/keys/transit-key-store";
import { expect, test } from "vitest";
import { LiveWorkspace } from "../testing/live-workspace.ts";
import { newRequest, TestSource } from "../testing/test-source.ts";

test("with keys behind a Transit engine: away, nothing starts and what runs goes on; destroyed, nothing opens", async () => {
  const directory = await mkdtemp(join(tmpdir(), "atoll-transit-"));
  await using server = await TransitServer.start();
  const tokenFile = join(directory, "token");
  await writeFile(tokenFile, server.token, { mode: 0o600 });
  using keys = await TransitKeyStore.open({
    directory: join(directory, "keys"),
    url: server.url,
    mount: server.mount,
    tokenFile,
  });
  await using at = await TestSource.open({ source: { keys } });
  await at.source.sweep(new Set());
  const [workspace, running] = [
    await LiveWorkspace.create(at.source, newRequest()),
    await LiveWorkspace.create(at.source, newRequest()),
  ];
  await workspace.guest.writeDisk("a", "saved");
  await workspace.stop();

  server.isSealed = true;
  const isUnavailable = { code: "key.unavailable" };
  await expect(workspace.boot()).rejects.toMatchObject(isUnavailable);
  await expect(LiveWorkspace.create(at.source, newRequest())).rejects.toMatchObject(isUnavailable);
  const { ownerId, workspaceId } = workspace.request;
  await expect(at.source.destroy(workspaceId, ownerId, workspace.disk)).rejects.toMatchObject(isUnavailable);
  await running.guest.writeDisk("b", "goes on");
  expect(await running.guest.readDisk("b")).toBe("goes on");

  server.isSealed = false;
  const { keyDestroyedAtMs } = await at.source.destroy(workspaceId, ownerId, workspace.disk);
  expect(await at.source.destroy(workspaceId, ownerId, workspace.disk)).toMatchObject({ keyDestroyedAtMs });
  expect([...server.keys.keys()]).not.toContain(`atoll-workspace-${workspaceId}`);
  await expect(keys.unwrapWorkspaceKey(workspace.request)).rejects.toMatchObject({ code: "key.not_found" });
  await running.stop();
  await running.boot();
  expect(await running.guest.readDisk("b")).toBe("goes on");
  await rm(directory, { recursive: true });
});
