import { expect, test } from "@playwright/test";
import { AccountPages, newPerson } from "../pages/account-pages.ts";
import { Dashboard } from "../pages/dashboard.ts";
import { type NotedStart, Workbench } from "../pages/workbench.ts";
import { stackUnderTest } from "../stack/running-stack.ts";

/** One may be over before its page is there; whatever is seen moves forward. */
function expectForwardOnly(starts: NotedStart[], title: string): void {
  for (const start of starts) {
    expect(start.title).toBe(title);
    expect(start.percents).toEqual(start.percents.toSorted((a, b) => a - b));
  }
}

test("a fork of a running workspace goes on from there, and each goes its own way", async ({ page }) => {
  test.setTimeout(600_000);
  const { webUrl } = stackUnderTest();
  const workbench = new Workbench(page);
  const { terminal } = workbench;
  const dashboard = new Dashboard(page, webUrl);
  await workbench.noteStarts();
  await new AccountPages(page, webUrl).signUp(newPerson("Fay"));
  const slug = await dashboard.createWorkspace("Stem");
  await workbench.expectReady();
  expectForwardOnly(await workbench.notedStarts(), "Restoring from template");
  await terminal.run(
    `clear; bash -c 'n=0; while :; do n=$((n+1)); printf "\\r%s" "pid=$$; n=$n;"; sleep 1; done'`,
  );
  await expect.poll(() => terminal.lastNumber("n")).toBeGreaterThan(2);
  const [pid, count] = [await terminal.lastNumber("pid"), await terminal.lastNumber("n")];

  await test.step("fork", async () => {
    await dashboard.open();
    const forkSlug = await dashboard.fork("Stem", "Branch");
    expect(forkSlug).not.toBe(slug);
    await workbench.expectReadyAgain();
    expectForwardOnly(await workbench.notedStarts(), "Making your copy");
    await expect.poll(() => terminal.lastNumber("n")).toBeGreaterThan(count);
    expect(await terminal.lastNumber("pid")).toBe(pid);
    await terminal.press("ControlOrMeta+C");
    await terminal.run("clear; echo branch >/workspace/whose; rev /workspace/whose; hostname | rev");
    await terminal.expectOutput("hcnarb");
    await terminal.expectOutput([...forkSlug].reverse().join(""));
  });

  await test.step("the original", async () => {
    await workbench.open(webUrl, slug);
    await workbench.expectReadyAgain();
    await expect.poll(() => terminal.lastNumber("n")).toBeGreaterThan(count);
    expect(await terminal.lastNumber("pid")).toBe(pid);
    await terminal.press("ControlOrMeta+C");
    await terminal.run("clear; test -e /workspace/whose || echo absent | rev; hostname | rev");
    await terminal.expectOutput("tnesba");
    await terminal.expectOutput([...slug].reverse().join(""));
  });
});
