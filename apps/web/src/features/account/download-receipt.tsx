"use client";
import { Download } from "lucide-react";
import { Button } from "#ui/button.tsx";

/** Saves the receipt byte for byte as it was stored. */
export function DownloadReceipt({ json, fileName }: { json: string; fileName: string }) {
  const save = () => {
    const url = URL.createObjectURL(new Blob([json], { type: "application/json" }));
    const link = Object.assign(document.createElement("a"), { href: url, download: fileName });
    link.click();
    URL.revokeObjectURL(url);
  };
  return (
    <Button tone="primary" onClick={save}>
      <Download aria-hidden /> Download receipt
    </Button>
  );
}
