import { expect, type Locator, type Page } from "@playwright/test";
import { submitNew } from "./submit-new.ts";

export class Dashboard {
  readonly #page: Page;
  readonly #webUrl: string;

  constructor(page: Page, webUrl: string) {
    this.#page = page;
    this.#webUrl = webUrl;
  }

  async open(): Promise<void> {
    await this.#page.goto(`${this.#webUrl}/`);
    await expect(this.#page.getByRole("heading", { name: "Workspaces", exact: true })).toBeVisible();
  }

  /** Ends on the workspace's page; returns its slug. */
  async createWorkspace(name: string, network?: "Off" | "Package sources" | "Open"): Promise<string> {
    await this.#page.getByRole("button", { name: "New workspace" }).click();
    const dialog = this.newWorkspaceDialog;
    await dialog.getByLabel("Name").fill(name);
    if (network) await dialog.getByRole("radio", { name: network }).click();
    return submitNew(this.#page, dialog);
  }

  get newWorkspaceDialog(): Locator {
    return this.#page.getByRole("dialog", { name: "New workspace" });
  }

  row(name: string): Locator {
    return this.#page.getByRole("listitem", { name, exact: true });
  }

  async expectState(name: string, state: string, timeoutMs = 60_000): Promise<void> {
    await expect(this.row(name).getByText(state, { exact: true })).toBeVisible({ timeout: timeoutMs });
  }

  /** An item of the workspace's menu. */
  async act(name: string, item: string): Promise<void> {
    await this.#page.getByRole("button", { name: `Actions for ${name}` }).click();
    await this.#page.getByRole("menuitem", { name: item }).click();
  }

  /** Ends on the new workspace's page; returns its slug. */
  async fork(name: string, newName: string): Promise<string> {
    await this.act(name, "Fork…");
    const dialog = this.#page.getByRole("dialog", { name: "Fork into a new workspace" });
    await dialog.getByLabel("Name").fill(newName);
    return submitNew(this.#page, dialog);
  }

  async setNetwork(name: string, network: "Off" | "Package sources" | "Open"): Promise<void> {
    await this.#page.getByRole("button", { name: `Actions for ${name}` }).click();
    await this.#page.getByRole("menuitemradio", { name: network }).click();
    await expect(this.row(name).getByText(`Network: ${network.toLowerCase()}`)).toBeVisible();
  }
}
