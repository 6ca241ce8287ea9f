import { readFile } from "node:fs/promises";
import { expect, type Locator, type Page } from "@playwright/test";

/** The page of a stored state: read-only files of a workspace that need not run. */
export class StoredFiles {
  readonly #page: Page;

  constructor(page: Page) {
    this.#page = page;
  }

  /** Where the browser knows no file dialogs, as a test cannot answer one. Call before the page is opened. */
  async withoutFileDialogs(): Promise<void> {
    await this.#page.addInitScript(() => {
      Object.defineProperty(window, "showSaveFilePicker", { value: undefined });
    });
  }

  async expectOpen(): Promise<void> {
    await expect(this.#page.getByRole("note", { name: "Read-only view" })).toContainText("read-only");
    await expect(this.#pane.getByRole("button", { name: "What is big" })).toBeEnabled({ timeout: 120_000 });
  }

  entry(name: string): Locator {
    return this.#pane.getByRole("treeitem", { name, exact: true });
  }

  async show(name: string): Promise<void> {
    await this.entry(name).click();
  }

  async expectText(text: string): Promise<void> {
    await expect(this.#preview.locator(".view-lines")).toContainText(text);
  }

  /** The file that is shown, as it arrives. */
  async downloadShown(): Promise<Buffer> {
    return this.#download(() => this.#preview.getByRole("button", { name: "Download" }).click());
  }

  async downloadEverything(): Promise<Buffer> {
    return this.#download(() =>
      this.#pane.getByRole("button", { name: "Download everything as zip" }).click(),
    );
  }

  async restoreShown(path: string): Promise<void> {
    await this.#preview.getByRole("button", { name: "Restore this…" }).click();
    const dialog = this.#page.getByRole("dialog", { name: `Restore ${path}?` });
    await dialog.getByRole("button", { name: "Restore", exact: true }).click();
    await expect(dialog).toBeHidden({ timeout: 180_000 });
  }

  /** Names in "What is big". */
  async largest(): Promise<string[]> {
    await this.#pane.getByRole("button", { name: "What is big" }).click();
    const dialog = this.#page.getByRole("dialog", { name: "What is big" });
    const list = dialog.getByRole("list", { name: "Largest entries" });
    await expect(list).toHaveAttribute("aria-busy", "false", { timeout: 120_000 });
    const names = await list.getByRole("button").allInnerTexts();
    await this.#page.keyboard.press("Escape");
    return names;
  }

  get #pane(): Locator {
    return this.#page.getByRole("region", { name: "Stored files" });
  }

  get #preview(): Locator {
    return this.#page.getByRole("region", { name: "Preview of file" });
  }

  async #download(start: () => Promise<void>): Promise<Buffer> {
    const [download] = await Promise.all([
      this.#page.waitForEvent("download", { timeout: 120_000 }),
      start(),
    ]);
    return readFile(await download.path());
  }
}
