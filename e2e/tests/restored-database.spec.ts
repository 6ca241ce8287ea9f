import { expect, test } from "@playwright/test";
import { AccountPages, newPerson } from "../pages/account-pages.ts";
import { Dashboard } from "../pages/dashboard.ts";
import { backUpDatabase, countUsers, killWeb } from "../stack/restored-database.ts";
import { stackUnderTest } from "../stack/running-stack.ts";
import { keyRefusal, storedWorkspace } from "../stack/stored-workspace.ts";

/** Takes rows and web away from everybody: runs when all others are done. */

test("a restored database brings nobody back: tombstones win before anything is served", async ({ page }) => {
  const stack = stackUnderTest();
  const account = new AccountPages(page, stack.webUrl);
  const dashboard = new Dashboard(page, stack.webUrl);
  const [bob, eve] = [newPerson("Bob"), newPerson("Eve")];
  await account.signUp(eve);
  await account.signOut();
  await account.signUp(bob);
  await dashboard.open();
  const slug = await dashboard.createWorkspace("Gone");
  await dashboard.open();
  await dashboard.expectState("Gone", "Running", 120_000);
  const stored = await storedWorkspace(stack, slug);
  if (stored === undefined) throw new Error("hostd has no record of it");
  const restore = await backUpDatabase(stack);
  await account.deleteAccount(bob);
  await restore();
  expect(await countUsers(stack, bob.email)).toBe(1);

  await killWeb(stack);
  await expect
    .poll(
      async () =>
        page.request.get(`${stack.webUrl}/healthz`).then(
          (answer) => answer.status(),
          () => 0,
        ),
      {
        timeout: 60_000,
      },
    )
    .toBe(200);
  await account.signIn(bob);
  await expect(page.getByText("That e-mail and password do not match.")).toBeVisible();
  await expect.poll(() => countUsers(stack, bob.email), { timeout: 60_000 }).toBe(0);
  await account.signIn(eve);
  await expect(page.getByRole("heading", { name: "Workspaces", exact: true })).toBeVisible();

  expect(await keyRefusal(stack, stored)).toBe("key.not_found");
});
