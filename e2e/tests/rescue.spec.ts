import { expect, test } from "@playwright/test";
import { AccountPages, newPerson } from "../pages/account-pages.ts";
import { Dashboard } from "../pages/dashboard.ts";
import { StoredFiles } from "../pages/stored-files.ts";
import { Workbench } from "../pages/workbench.ts";
import { hostdWorkspaces } from "../stack/hostd.ts";
import { stackUnderTest } from "../stack/running-stack.ts";
import { storedWorkspace } from "../stack/stored-workspace.ts";
import { zipEntries } from "../stack/zip-entries.ts";

test("files of a stopped workspace are read, downloaded and zipped without starting it", async ({ page }) => {
  test.setTimeout(600_000);
  const stack = stackUnderTest();
  const { webUrl } = stack;
  const stored = new StoredFiles(page);
  await stored.withoutFileDialogs();
  await new AccountPages(page, webUrl).signUp(newPerson("Rosa"));
  const slug = await new Dashboard(page, webUrl).createWorkspace("Wreck");
  const workbench = new Workbench(page);
  await workbench.expectReady();
  await workbench.terminal.run(
    "cd /workspace; echo treasure > chest.txt; mkdir -p deep; head -c 300000 /dev/zero > deep/big.bin; sync; clear; echo ready | rev",
  );
  await workbench.terminal.expectOutput("ydaer");

  const dashboard = new Dashboard(page, webUrl);
  await dashboard.open();
  await dashboard.act("Wreck", "Stop");
  await dashboard.expectState("Wreck", "Stopped", 120_000);
  const workspaceId = (await storedWorkspace(stack, slug))?.workspaceId;
  const status = async () => (await hostdWorkspaces(stack)).find((it) => it.workspaceId === workspaceId);
  const before = await status();
  expect(before).toMatchObject({ state: "stopped" });

  await dashboard.act("Wreck", "Browse files");
  await stored.expectOpen();
  await stored.show("chest.txt");
  await stored.expectText("treasure");
  expect((await stored.downloadShown()).toString()).toBe("treasure\n");

  const entries = zipEntries(await stored.downloadEverything());
  const names = [...entries.keys()];
  expect(names.some((name) => name.endsWith("chest.txt"))).toBe(true);
  const big = names.find((name) => name.endsWith("deep/big.bin")) ?? "";
  expect(entries.get(big)).toEqual(Buffer.alloc(300_000));
  expect((await stored.largest()).join("\n")).toContain("deep");

  expect(await status()).toMatchObject({
    state: "stopped",
    generation: before?.generation,
    sinceMs: before?.sinceMs,
  });
  await workbench.open(webUrl, slug);
  await workbench.expectReadyAgain();
  await workbench.terminal.run("clear; rev /workspace/chest.txt");
  await workbench.terminal.expectOutput("erusaert");
});

test("a workspace whose disk is full and whose machine was killed gives its files, and starts again", async ({
  page,
}) => {
  test.setTimeout(600_000);
  const stack = stackUnderTest();
  const { webUrl } = stack;
  const stored = new StoredFiles(page);
  await stored.withoutFileDialogs();
  await new AccountPages(page, webUrl).signUp(newPerson("Ruth"));
  const dashboard = new Dashboard(page, webUrl);
  const slug = await dashboard.createWorkspace("Brim");
  const workbench = new Workbench(page);
  await workbench.expectReady();
  await workbench.terminal.run(
    "cd /workspace; echo treasure > chest.txt; sync; i=2048; while [ $i -ge 1 ]; do while fallocate -l $((i))M fill.$i.$RANDOM 2>/dev/null; do :; done; i=$((i/2)); done; cat /dev/zero > fill.last 2>/dev/null; sync; clear; df --output=avail . | tail -1 | sed 's/^ *0$/mirb ot lluf/' | rev",
  );
  await workbench.terminal.expectOutput("full to brim");

  await dashboard.open();
  const machinePid = (await storedWorkspace(stack, slug))?.machine?.pid;
  if (machinePid === undefined) throw new Error("it has no machine");
  process.kill(machinePid, "SIGKILL");
  await dashboard.expectState("Brim", "Failed", 120_000);
  await expect(dashboard.row("Brim")).toContainText("vm.gone");
  await dashboard.act("Brim", "Browse files");
  await stored.expectOpen();
  await stored.show("chest.txt");
  await stored.expectText("treasure");
  expect((await stored.downloadShown()).toString()).toBe("treasure\n");
  expect((await stored.largest()).join("\n")).toContain("fill.");

  await workbench.noteStarts();
  await workbench.open(webUrl, slug);
  await workbench.expectReadyAgain();
  const [start, ...others] = await workbench.notedStarts();
  expect(others).toEqual([]);
  expect(start?.title).toBe("Starting from disk");
  // The steps before the boot may be over when the page is there.
  expect(start?.percents.length).toBeGreaterThan(0);
  expect(start?.percents).toEqual(start?.percents.toSorted((a, b) => a - b));
  await workbench.terminal.run("clear; rm /workspace/fill.*; rev /workspace/chest.txt");
  await workbench.terminal.expectOutput("erusaert");
});
