import { expect, type Locator, type Page } from "@playwright/test";
import { submitNew } from "./submit-new.ts";

/** The dashboard's list of templates, and what leads there. */
export class Templates {
  readonly #page: Page;

  constructor(page: Page) {
    this.#page = page;
  }

  row(name: string): Locator {
    return this.#page.getByRole("list", { name: "Templates" }).getByRole("listitem", { name, exact: true });
  }

  /** From the dialog that a workspace's menu opened; resolves when others could be let in. */
  async make(name: string): Promise<void> {
    const dialog = this.#page.getByRole("dialog", { name: "Make a template" });
    await dialog.getByLabel("Name").fill(name);
    await dialog.getByRole("button", { name: "Make template" }).click();
    await expect(dialog).toBeHidden({ timeout: 60_000 });
    await expect(this.row(name)).toContainText("Draft, only you can use it", { timeout: 240_000 });
  }

  /** @param removed paths that the list of what was removed must show */
  async publish(name: string, removed: readonly string[]): Promise<void> {
    await this.row(name).getByRole("button", { name: "Review and publish" }).click();
    const dialog = this.#page.getByRole("dialog", { name: `Review template ${name}` });
    for (const path of removed)
      await expect(dialog.getByRole("list", { name: "Removed files" })).toContainText(path);
    await dialog.getByRole("button", { name: "Publish" }).click();
    await expect(this.row(name)).toContainText("Published by you");
  }

  /** Ends on the new workspace's page; returns its slug. */
  async use(name: string, newName: string): Promise<string> {
    await this.row(name)
      .getByRole("button", { name: `Use ${name}` })
      .click();
    const dialog = this.#page.getByRole("dialog", { name: "New workspace from template" });
    await dialog.getByLabel("Name").fill(newName);
    return submitNew(this.#page, dialog);
  }

  async delete(name: string): Promise<void> {
    await this.row(name)
      .getByRole("button", { name: `Delete template ${name}` })
      .click();
    const dialog = this.#page.getByRole("dialog", { name: `Delete template ${name}?` });
    await dialog.getByRole("button", { name: "Delete", exact: true }).click();
    await expect(this.row(name)).toBeHidden({ timeout: 60_000 });
  }
}
