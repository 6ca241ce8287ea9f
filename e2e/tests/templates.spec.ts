import { type Browser, expect, type Page, test } from "@playwright/test";
import { AccountPages, newPerson } from "../pages/account-pages.ts";
import { Dashboard } from "../pages/dashboard.ts";
import { Templates } from "../pages/templates.ts";
import { Workbench } from "../pages/workbench.ts";
import { stackUnderTest } from "../stack/running-stack.ts";

async function student(browser: Browser, webUrl: string, name: string): Promise<Page> {
  const page = await (await browser.newContext()).newPage();
  await new AccountPages(page, webUrl).signUp(newPerson(name));
  return page;
}

test("a class begins from what its teacher published, without the teacher's secrets, and keeps it when the template goes", async ({
  browser,
  page,
}) => {
  test.setTimeout(600_000);
  const { webUrl } = stackUnderTest();
  const [dashboard, templates, course] = [new Dashboard(page, webUrl), new Templates(page), "Corals 101"];
  await new AccountPages(page, webUrl).signUp(newPerson("Theo"));
  await dashboard.createWorkspace("Lessons");
  const teacher = new Workbench(page);
  await teacher.expectReady();
  await teacher.terminal.run(
    "clear; echo lesson >/workspace/task; echo TOKEN=1234 >/workspace/.env; sync; echo over | rev",
  );
  await teacher.terminal.expectOutput("revo");

  await test.step("publishing", async () => {
    await dashboard.open();
    await dashboard.act("Lessons", "Make template…");
    await templates.make(course);
    await templates.publish(course, [".env"]);
  });

  const students = [await student(browser, webUrl, "Una"), await student(browser, webUrl, "Vic")] as const;
  const slugs = await test.step("beginning at the same time", async () =>
    Promise.all(students.map((one, index) => new Templates(one).use(course, `Reef ${index}`))));
  expect(new Set(slugs).size).toBe(2);
  for (const [index, one] of students.entries()) {
    const workbench = new Workbench(one);
    await workbench.expectReadyAgain();
    await workbench.terminal.run(
      "clear; rev /workspace/task; test -e /workspace/.env || echo absent | rev; hostname | rev; mine=kept",
    );
    await workbench.terminal.expectOutput("nossel");
    await workbench.terminal.expectOutput("tnesba");
    await workbench.terminal.expectOutput([...(slugs[index] ?? "")].reverse().join(""));
  }

  await test.step("the template goes, the students' machines sleep and wake", async () => {
    await templates.delete(course);
    const [una] = students;
    const hers = new Dashboard(una, webUrl);
    await hers.open();
    await hers.act("Reef 0", "Pause");
    await expect(hers.row("Reef 0")).toContainText("sealed on disk", { timeout: 180_000 });
    const workbench = new Workbench(una);
    await workbench.open(webUrl, slugs[0] ?? "");
    await workbench.expectReadyAgain();
    await workbench.terminal.run("clear; echo $mine | rev; rev /workspace/task");
    await workbench.terminal.expectOutput("tpek");
    await workbench.terminal.expectOutput("nossel");
  });
  for (const one of students) await one.context().close();
});
