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
