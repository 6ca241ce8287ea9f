import type { Locator, Page } from "@playwright/test";

/** The dialog for a new workspace, filled in. Ends on the workspace's page; returns its slug. */
export async function submitNew(page: Page, dialog: Locator): Promise<string> {
  await dialog.getByRole("button", { name: "Create workspace" }).click();
  await page.waitForURL(/\/w\/[a-z0-9-]+$/);
  return new URL(page.url()).pathname.slice("/w/".length);
}
