import { expect, test } from "@playwright/test";
import { AccountPages, newPerson } from "../pages/account-pages.ts";
import { Dashboard } from "../pages/dashboard.ts";
import { stackUnderTest } from "../stack/running-stack.ts";

test("a button pressed before the page's scripts have come does its work when they have", async ({
  page,
}) => {
  const { webUrl } = stackUnderTest();
  await new AccountPages(page, webUrl).signUp(newPerson("Hasty"));
  const arrive = Promise.withResolvers<void>();
  await page.route("**/_next/static/**/*.js", async (route) => {
    await arrive.promise;
    await route.continue();
  });
  await page.goto(webUrl, { waitUntil: "commit" });
  const dashboard = new Dashboard(page, webUrl);
  await page.getByRole("button", { name: "New workspace" }).click();
  await expect(dashboard.newWorkspaceDialog).toBeHidden();
  arrive.resolve();
  await expect(dashboard.newWorkspaceDialog).toBeVisible();
});
