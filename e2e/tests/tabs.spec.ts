import { setPlan } from "@atoll/db/set-plan";
import { expect, test } from "@playwright/test";
import { AccountPages, newPerson } from "../pages/account-pages.ts";
import { Dashboard } from "../pages/dashboard.ts";
import { Workbench } from "../pages/workbench.ts";
import { stackUnderTest } from "../stack/running-stack.ts";

// As people have it who asked for less motion.
test.use({ contextOptions: { reducedMotion: "reduce" } });

test("a second tab over the plan's limit is refused by name, and may take over", async ({
  context,
  page,
}) => {
  const { webUrl } = stackUnderTest();
  await new AccountPages(page, webUrl).signUp(newPerson("Tina"));
  const slug = await new Dashboard(page, webUrl).createWorkspace("Two tabs");
  const first = new Workbench(page);
  await first.expectReady();
  await first.terminal.run("clear; echo kept-$((40+2))");
  await first.terminal.expectOutput("kept-42");

  const other = await context.newPage();
  const second = new Workbench(other);
  await second.open(webUrl, slug);
  await expect(second.alert).toContainText("Free plan");
  await second.takeOver();
  await second.expectReadyAgain();
  await second.terminal.expectOutput("kept-42");
  await expect(first.alert).toContainText("taken over");
});

test("tabs share files, processes and terminals; a conflicting save loses nothing", async ({
  context,
  page,
}) => {
  const { webUrl, databaseOwnerUrl } = stackUnderTest();
  const pia = newPerson("Pia");
  await new AccountPages(page, webUrl).signUp(pia);
  await setPlan(databaseOwnerUrl, pia.email, "pro");
  await new Dashboard(page, webUrl).open();
  const slug = await new Dashboard(page, webUrl).createWorkspace("Shared");
  const first = new Workbench(page);
  await first.expectReady();
  await first.createFile("plan.txt");
  await first.openFile("plan.txt");
  await first.typeInEditor("ours");
  await first.save();

  const second = new Workbench(await context.newPage());
  await second.open(webUrl, slug);
  await second.expectReadyAgain();
  await second.terminal.run("clear; cat /workspace/plan.txt | rev");
  await second.terminal.expectOutput("sruo");
  await first.terminal.expectOutput("sruo");
  await first.typeInEditor(" and more");
  await first.save();
  await second.terminal.run("clear; echo theirs > /workspace/plan.txt");
  await first.expectEditorText("theirs");

  // Another terminal is another shell, and the one before goes on as it was.
  await second.terminal.run("clear; mood=calm");
  await second.terminal.openAnother();
  await expect(second.terminal.tabs()).toHaveCount(2);
  await second.terminal.expectPrompt();
  await second.terminal.run('clear; echo "in $mood $((6 * 7))" | rev');
  await second.terminal.expectOutput("24  ni");
  await second.terminal.tabs().first().click();
  await second.terminal.run("clear; echo $mood | rev");
  await second.terminal.expectOutput("mlac");
});

test("typing goes on without a network, and is saved when it is back", async ({ page }) => {
  const { webUrl } = stackUnderTest();
  await new AccountPages(page, webUrl).signUp(newPerson("Noa"));
  await new Dashboard(page, webUrl).createWorkspace("Train");
  const workbench = new Workbench(page);
  await workbench.expectReady();
  // The tunnel is longer than this stack waits for work.
  await workbench.terminal.run("atoll keep-awake 10m");
  await workbench.createFile("notes.txt");
  await workbench.openFile("notes.txt");
  await workbench.loseNetwork();
  await expect(workbench.connectionBanner).toBeVisible({ timeout: 60_000 });
  await workbench.typeInEditor("written in a tunnel");
  await workbench.regainNetwork();
  await workbench.expectReadyAgain();
  await workbench.save();
  await workbench.terminal.run("clear; cat /workspace/notes.txt | rev");
  await workbench.terminal.expectOutput("lennut a ni nettirw");
});
