import { expect, test } from "@playwright/test";
import { AccountPages, newPerson } from "../pages/account-pages.ts";
import { Dashboard } from "../pages/dashboard.ts";
import { StoredFiles } from "../pages/stored-files.ts";
import { Timeline } from "../pages/timeline.ts";
import { Workbench } from "../pages/workbench.ts";
import { stackUnderTest } from "../stack/running-stack.ts";

test("a checkpoint brings files and programs back, and undoing the restore brings back what was before", async ({
  page,
}) => {
  test.setTimeout(600_000);
  const { webUrl } = stackUnderTest();
  await new AccountPages(page, webUrl).signUp(newPerson("Tess"));
  await new Dashboard(page, webUrl).createWorkspace("Tide");
  const workbench = new Workbench(page);
  const timeline = new Timeline(page);
  await workbench.expectReady();
  await workbench.createFile("plan.txt");
  await workbench.openFile("plan.txt");
  await workbench.typeInEditor("first draft");
  await workbench.save();
  await workbench.terminal.run("tide=high; clear");

  await timeline.open();
  await timeline.create("Before the storm", { withMemory: true });
  await expect(timeline.row("Before the storm")).toContainText("with memory");

  await workbench.typeInEditor(", second thoughts");
  await workbench.save();
  await workbench.terminal.run("tide=low; clear");

  await test.step("restore", async () => {
    await timeline.restore("Before the storm");
    await workbench.expectReadyAgain();
    await workbench.terminal.run("clear; echo $tide | rev; rev /workspace/plan.txt");
    await workbench.terminal.expectOutput("hgih");
    await workbench.terminal.expectOutput("tfard tsrif");
    expect(await workbench.terminal.text()).not.toContain("sthguoht");
    await workbench.expectEditorText("first draft");
  });

  await test.step("undo", async () => {
    await timeline.undoRestore();
    await workbench.expectReadyAgain();
    await workbench.terminal.run("clear; rev /workspace/plan.txt");
    await workbench.terminal.expectOutput("sthguoht dnoces ,tfard tsrif");
  });

  await timeline.delete("Before the storm");
});

test("one file of a checkpoint comes back into the running workspace, the rest stays", async ({ page }) => {
  test.setTimeout(600_000);
  const { webUrl } = stackUnderTest();
  await new AccountPages(page, webUrl).signUp(newPerson("Theo"));
  const slug = await new Dashboard(page, webUrl).createWorkspace("Drift");
  const workbench = new Workbench(page);
  const timeline = new Timeline(page);
  const stored = new StoredFiles(page);
  await workbench.expectReady();
  await workbench.terminal.run("cd /workspace; echo good > a.txt; echo old > b.txt; clear");
  await expect(workbench.file("b.txt")).toBeVisible();
  await timeline.open();
  await timeline.create("Good", { withMemory: false });
  await workbench.terminal.run("rm a.txt; echo new > b.txt; clear; echo changed | rev");
  await workbench.terminal.expectOutput("degnahc");

  await timeline.browse("Good");
  await stored.expectOpen();
  await stored.show("a.txt");
  await stored.expectText("good");
  await stored.restoreShown("/workspace/a.txt");

  await workbench.open(webUrl, slug);
  await workbench.expectReadyAgain();
  await workbench.terminal.run("clear; cat a.txt b.txt | rev");
  await workbench.terminal.expectOutput("doog");
  await workbench.terminal.expectOutput("wen");
});
