import { expect, type FrameLocator, type Locator, type Page } from "@playwright/test";

/** One way to a running machine, as the page showed it: each new value of its progress bar. */
export interface NotedStart {
  title: string;
  percents: number[];
}

type NotingWindow = Window & { notedStarts?: NotedStart[] };

/** The page of one workspace, as a user uses it. */
export class Workbench {
  readonly #page: Page;
  readonly terminal: TerminalPane;

  constructor(page: Page) {
    this.#page = page;
    this.terminal = new TerminalPane(page);
  }

  async open(webUrl: string, slug: string): Promise<void> {
    await this.#page.goto(`${webUrl}/w/${slug}`);
  }

  /** The machine runs, the tab is attached to it, and the shell waits for a command. */
  async expectReady(): Promise<void> {
    await this.expectReadyAgain();
    await this.terminal.expectPrompt();
  }

  /** As above, but something may be running in the terminal. */
  async expectReadyAgain(): Promise<void> {
    const status = this.#page.getByRole("contentinfo", { name: "Status" });
    await expect(status.getByRole("button", { name: "Running", exact: true })).toBeVisible({
      timeout: 120_000,
    });
    await expect(status.getByRole("button", { name: "Connected" })).toBeVisible();
  }

  /** From the next load of a page on. */
  async noteStarts(): Promise<void> {
    await this.#page.addInitScript(() => {
      const noted: NotedStart[] = [];
      (window as NotingWindow).notedStarts = noted;
      const note = () => {
        const bar = document.querySelector("[role=progressbar]");
        if (!bar) return;
        const title = bar.getAttribute("aria-label") ?? "";
        const percent = Number(bar.getAttribute("aria-valuenow"));
        if (noted.at(-1)?.title !== title) noted.push({ title, percents: [] });
        const percents = noted.at(-1)?.percents;
        if (percents?.at(-1) !== percent) percents?.push(percent);
      };
      new MutationObserver(note).observe(document, { subtree: true, childList: true, attributes: true });
    });
  }

  async notedStarts(): Promise<NotedStart[]> {
    return this.#page.evaluate(() => (window as NotingWindow).notedStarts ?? []);
  }

  file(name: string): Locator {
    return this.#page.getByRole("treeitem", { name, exact: true });
  }

  async createFile(name: string): Promise<void> {
    await this.#page.getByRole("button", { name: "New file" }).click();
    await this.#page.keyboard.type(name);
    await this.#page.keyboard.press("Enter");
    await expect(this.file(name)).toBeVisible();
  }

  async openFile(name: string): Promise<void> {
    await this.file(name).click();
    await expect(
      this.#page.getByRole("tab", { name: new RegExp(`^${name.replaceAll(".", "\\.")}`) }),
    ).toBeVisible();
    await expect(this.#editor).toBeVisible();
  }

  /** Types at the cursor of the open file. */
  async typeInEditor(text: string): Promise<void> {
    await this.#editor.click();
    await this.#page.keyboard.press("ControlOrMeta+End");
    await this.#page.keyboard.insertText(text);
  }

  async save(): Promise<void> {
    await this.#page.keyboard.press("ControlOrMeta+s");
    await this.expectSaved();
  }

  async expectSaved(): Promise<void> {
    await expect(this.#page.getByRole("status", { name: "Saving" })).toHaveText("All changes saved");
  }

  async expectEditorText(text: string): Promise<void> {
    await expect(this.#editor.locator(".view-lines")).toContainText(text);
  }

  /** Opens the preview of a listening port beside the editor. */
  async preview(port: number): Promise<FrameLocator> {
    const ports = this.#page.getByRole("list", { name: "Listening ports" });
    // The view that was open is open again after a reload, a moment later.
    const view = this.#page
      .getByRole("navigation", { name: "Views" })
      .getByRole("button", { name: /^Ports/ });
    await expect(view).toBeVisible();
    if ((await view.getAttribute("aria-pressed")) === "false") await view.click();
    await expect(ports.getByRole("listitem", { name: `Port ${port}` })).toBeVisible();
    await ports.getByRole("button", { name: `Open port ${port} beside the editor` }).click();
    return this.#page.frameLocator(`iframe[title="Preview of port ${port}"]`);
  }

  async loseNetwork(): Promise<void> {
    await this.#page.context().setOffline(true);
    // What a browser does not do by itself for loopback sockets: the wire is cut.
    await this.#page.evaluate(() => dispatchEvent(new Event("offline")));
  }

  async regainNetwork(): Promise<void> {
    await this.#page.context().setOffline(false);
    await this.#page.evaluate(() => dispatchEvent(new Event("online")));
  }

  get alert(): Locator {
    return this.#page.getByRole("main").getByRole("alert");
  }

  get connectionBanner(): Locator {
    return this.#page.getByRole("status", { name: "Connection" });
  }

  /** Says something only shortly before a pause. */
  get pauseWarning(): Locator {
    return this.#page.getByRole("status", { name: "Pause warning" });
  }

  /** Why it is awake or when it pauses. */
  get idleItem(): Locator {
    return this.#page
      .getByRole("contentinfo", { name: "Status" })
      .getByRole("button", { name: /Keep awake…$/ });
  }

  async takeOver(): Promise<void> {
    await this.#page.getByRole("button", { name: "Take over the oldest tab" }).click();
  }

  get #editor(): Locator {
    return this.#page.getByRole("region", { name: "Editor area" }).locator(".monaco-editor").first();
  }
}

/** The terminal tab in front. Reads what is on screen; the drawing is DOM nodes where 3D is off. */
export class TerminalPane {
  readonly #page: Page;

  constructor(page: Page) {
    this.#page = page;
  }

  get #screen(): Locator {
    return this.#page
      .getByRole("region", { name: "Terminals" })
      .locator('section[aria-label^="Terminal "]:not([style*="hidden"])');
  }

  async expectPrompt(): Promise<void> {
    await expect(this.#screen.locator(".xterm-rows")).toContainText("$", { timeout: 60_000 });
  }

  async run(command: string): Promise<void> {
    await expect(this.#screen).toHaveAttribute("aria-busy", "false");
    await this.#screen.locator("textarea").focus();
    await this.#page.keyboard.insertText(command);
    await this.#page.keyboard.press("Enter");
  }

  async press(key: string): Promise<void> {
    await expect(this.#screen).toHaveAttribute("aria-busy", "false");
    await this.#screen.locator("textarea").focus();
    await this.#page.keyboard.press(key);
  }

  async expectOutput(text: string | RegExp, timeoutMs = 60_000): Promise<void> {
    await expect(this.#screen.locator(".xterm-rows")).toContainText(text, { timeout: timeoutMs });
  }

  /** The text on screen, without line ends. */
  async text(): Promise<string> {
    return (await this.#screen.locator(".xterm-rows").textContent()) ?? "";
  }

  /** The last number in `name=<number>;` on screen. */
  async lastNumber(name: string): Promise<number> {
    const matches = [...(await this.text()).matchAll(new RegExp(`${name}=(\\d+);`, "g"))];
    return Number(matches.at(-1)?.[1] ?? Number.NaN);
  }

  async openAnother(): Promise<void> {
    await this.#page.getByRole("button", { name: "New terminal" }).click();
  }

  tabs(): Locator {
    return this.#page.getByRole("tablist", { name: "Terminals" }).getByRole("tab");
  }
}
