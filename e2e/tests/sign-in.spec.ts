import { expect, test } from "@playwright/test";
import { AccountPages, newPerson } from "../pages/account-pages.ts";
import { stackUnderTest } from "../stack/running-stack.ts";

test("an account is made once, signs out everywhere it should, and signs in again", async ({ page }) => {
  const { webUrl } = stackUnderTest();
  const account = new AccountPages(page, webUrl);
  const ada = newPerson("Ada");
  await account.signUp(ada);
  await account.signOut();

  await page.goto(`${webUrl}/signup`);
  await page.getByLabel("Name").fill(ada.name);
  await page.getByLabel("E-mail").fill(ada.email.toUpperCase());
  await page.getByLabel("Password").fill(ada.password);
  await page.getByRole("button", { name: "Create account" }).click();
  await expect(page.getByText("This e-mail already has an account.")).toBeVisible();

  await account.signIn({ ...ada, password: "not the password at all" });
  await expect(page.getByText("That e-mail and password do not match.")).toBeVisible();
  await account.signIn({ email: "nobody@people.example", password: "not the password at all" });
  await expect(page.getByText("That e-mail and password do not match.")).toBeVisible();
  await account.signIn(ada);
  await expect(page.getByRole("heading", { name: "Workspaces", exact: true })).toBeVisible();
});

test("an account of an OpenID Connect provider signs in by configuration alone", async ({ page }) => {
  const { webUrl, oidcIssuer } = stackUnderTest();
  const account = new AccountPages(page, webUrl);
  await account.signInWith("School");
  await page.waitForURL((url) => url.origin === oidcIssuer);
  await page.getByPlaceholder("Enter any login").fill("grace");
  await page.getByPlaceholder("and password").fill("any");
  await page.getByRole("button", { name: "Sign-in" }).click();
  await page.getByRole("button", { name: "Continue" }).click();
  await expect(page.getByRole("heading", { name: "Workspaces", exact: true })).toBeVisible();
  await page.goto(`${webUrl}/settings`);
  await expect(page.getByText("grace@school.example").first()).toBeVisible();
});

test("a signed-out visitor gets to the page asked for after signing in, and to no other site", async ({
  page,
}) => {
  const { webUrl } = stackUnderTest();
  const account = new AccountPages(page, webUrl);
  const lin = newPerson("Lin");
  await account.signUp(lin);
  await account.signOut();
  await page.goto(`${webUrl}/settings`);
  await expect(page).toHaveURL(/\/signin\?/);
  await page.getByLabel("E-mail").fill(lin.email);
  await page.getByLabel("Password").fill(lin.password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await expect(page.getByRole("heading", { name: "Settings" })).toBeVisible();
  await account.signOut();
  await page.goto(`${webUrl}/signin?callbackUrl=${encodeURIComponent("//evil.example/")}`);
  await page.getByLabel("E-mail").fill(lin.email);
  await page.getByLabel("Password").fill(lin.password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await expect(page).toHaveURL(`${webUrl}/`);
});
