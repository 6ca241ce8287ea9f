/** The workbench as it is, taken from a running machine; one picture for each theme. */
export function ProductPicture() {
  return (
    <div className="overflow-hidden rounded-xl border border-line-strong shadow-high">
      <Picture theme="light" className="block h-auto w-full dark:hidden" />
      <Picture theme="dark" className="hidden h-auto w-full dark:block" />
    </div>
  );
}

function Picture({ theme, className }: { theme: "light" | "dark"; className: string }) {
  return (
    // biome-ignore lint/performance/noImgElement: already the right size; the optimiser would cost a process that has better to do
    <img
      src={`/workbench-${theme}.png`}
      width={1360}
      height={850}
      loading={theme === "light" ? "eager" : "lazy"}
      className={className}
      alt="The workbench: files on the left, code in the middle above a terminal of the machine, and the running program's page on the right."
    />
  );
}
