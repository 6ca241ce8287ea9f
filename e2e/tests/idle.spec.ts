import { expect, test } from "@playwright/test";
import { AccountPages, newPerson } from "../pages/account-pages.ts";
import { Dashboard } from "../pages/dashboard.ts";
import { Workbench } from "../pages/workbench.ts";
import { stackUnderTest } from "../stack/running-stack.ts";
import { storedWorkspace } from "../stack/stored-workspace.ts";

test("an idle workspace warns, keeps running when asked, pauses with its reason, and comes back on request only", async ({
  context,
  page,
}) => {
  const { webUrl, idlePauseSeconds } = stackUnderTest();
  const patience = { timeout: (idlePauseSeconds + 60) * 1000 };
  await new AccountPages(page, webUrl).signUp(newPerson("Ida"));
  const slug = await new Dashboard(page, webUrl).createWorkspace("Lagoon");
  const workbench = new Workbench(page);
  await workbench.expectReady();
  await workbench.terminal.run("mood=calm; clear");

  await test.step("warned, and kept running", async () => {
    await expect(workbench.pauseWarning).toContainText("Pauses in", patience);
    await workbench.pauseWarning.getByRole("button", { name: "Keep running 1 h" }).click();
    await expect(workbench.pauseWarning.getByText("Pauses in")).toBeHidden();
    await expect(workbench.idleItem).toContainText("kept awake until");
  });

  await test.step("the lease given back, it pauses by itself", async () => {
    await workbench.idleItem.click();
    await page.getByRole("menuitem", { name: /^Do not wait until/ }).click();
    await expect(page.getByRole("heading", { name: /^Paused at/ })).toBeVisible({
      timeout: 2 * patience.timeout,
    });
    await expect(page.getByText("Paused by itself because nothing was going on.")).toBeVisible();
  });

  await test.step("an open tab does not wake it", async () => {
    const dashboard = new Dashboard(await context.newPage(), webUrl);
    await dashboard.open();
    await dashboard.expectState("Lagoon", "Paused");
    // Losing and finding the connection is not somebody's wish either.
    await workbench.loseNetwork();
    await workbench.regainNetwork();
    await page.bringToFront();
    await page.mouse.move(300, 300);
    await expect(page.getByRole("heading", { name: /^Paused at/ })).toBeVisible();
    await dashboard.open();
    await dashboard.expectState("Lagoon", "Paused");
    await expect(dashboard.row("Lagoon")).toContainText("Paused by itself");
  });

  await test.step("Resume brings it back as it was", async () => {
    await page.bringToFront();
    await page.getByRole("button", { name: "Resume", exact: true }).click();
    await workbench.expectReadyAgain();
    await workbench.terminal.run("clear; echo $mood | rev");
    await workbench.terminal.expectOutput("mlac");
    expect(page.url()).toContain(slug);
  });
});

test("what was typed out of reach wakes a workspace that paused meanwhile, and is saved", async ({
  page,
}) => {
  test.setTimeout(600_000);
  const stack = stackUnderTest();
  const { webUrl, idlePauseSeconds } = stack;
  await new AccountPages(page, webUrl).signUp(newPerson("Noor"));
  const slug = await new Dashboard(page, webUrl).createWorkspace("Ferry");
  const workbench = new Workbench(page);
  await workbench.expectReady();
  await workbench.createFile("crossing.txt");
  await workbench.openFile("crossing.txt");
  await workbench.loseNetwork();
  await expect(workbench.connectionBanner).toBeVisible({ timeout: 60_000 });
  await workbench.typeInEditor("written at sea");
  // One key as a person strikes it: text that is put in by a program is nobody's.
  await page.keyboard.press("!");
  await expect
    .poll(async () => (await storedWorkspace(stack, slug))?.state, {
      timeout: (2 * idlePauseSeconds + 120) * 1000,
    })
    .toBe("paused");

  await workbench.regainNetwork();
  // Until then the page shows the state of before.
  await expect(workbench.connectionBanner).toBeHidden({ timeout: 60_000 });
  await workbench.expectReadyAgain();
  await workbench.expectSaved();
  await workbench.terminal.run("clear; rev /workspace/crossing.txt");
  await workbench.terminal.expectOutput("!aes ta nettirw");
});
