import { expect, type Locator, type Page } from "@playwright/test";

/** The timeline of the workbench's side bar. */
export class Timeline {
  readonly #page: Page;

  constructor(page: Page) {
    this.#page = page;
  }

  get #pane(): Locator {
    return this.#page.getByRole("region", { name: "Timeline" });
  }

  async open(): Promise<void> {
    const view = this.#page
      .getByRole("navigation", { name: "Views" })
      .getByRole("button", { name: "Timeline" });
    if ((await view.getAttribute("aria-pressed")) === "false") await view.click();
    await expect(this.#pane).toBeVisible();
  }

  row(name: string): Locator {
    return this.#pane.getByRole("list", { name: "Checkpoints" }).getByRole("listitem", { name, exact: true });
  }

  async create(name: string, { withMemory }: { withMemory: boolean }): Promise<void> {
    await this.#pane.getByRole("button", { name: "New checkpoint" }).first().click();
    const form = this.#pane.getByRole("form", { name: "New checkpoint" });
    await form.getByLabel("Checkpoint name").fill(name);
    await form.getByLabel("With memory").setChecked(withMemory);
    await form.getByRole("button", { name: "Make checkpoint" }).click();
    await expect(this.row(name)).toBeVisible({ timeout: 120_000 });
  }

  async restore(name: string): Promise<void> {
    await this.#pane.getByRole("button", { name: `Restore ${name}`, exact: true }).click();
    const dialog = this.#page.getByRole("dialog", { name: `Restore “${name}”?` });
    await expect(dialog).toContainText("safety checkpoint");
    await dialog.getByRole("button", { name: "Restore", exact: true }).click();
    await expect(this.lastRestore).toContainText(`Restored “${name}”`, { timeout: 180_000 });
  }

  /** Offers the way back after a restore. */
  get lastRestore(): Locator {
    return this.#pane.getByRole("status", { name: "Last restore" });
  }

  async undoRestore(): Promise<void> {
    await this.lastRestore.getByRole("button", { name: "Undo restore" }).click();
    await expect(this.lastRestore).toBeHidden({ timeout: 180_000 });
  }

  async delete(name: string): Promise<void> {
    await this.#menu(name, "Delete…");
    const dialog = this.#page.getByRole("dialog", { name: `Delete “${name}”?` });
    await dialog.getByRole("button", { name: "Delete", exact: true }).click();
    await expect(this.row(name)).toBeHidden();
  }

  async browse(name: string): Promise<void> {
    await this.#menu(name, "Browse files");
    await this.#page.waitForURL(/\/files\?checkpoint=/);
  }

  async #menu(name: string, item: string): Promise<void> {
    await this.#pane.getByRole("button", { name: `Actions for ${name}`, exact: true }).click();
    await this.#page.getByRole("menuitem", { name: item }).click();
  }
}
