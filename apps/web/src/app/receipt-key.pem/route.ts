import { webProcess } from "#server/web-process.ts";

export const dynamic = "force-dynamic";

/** The public half of the key that signs erasure receipts, for everyone, best taken before it is needed. */
export async function GET(): Promise<Response> {
  const pem = await webProcess().receipts.publicPem();
  return new Response(pem, {
    headers: {
      "content-type": "application/x-pem-file",
      "content-disposition": 'attachment; filename="receipt-key.pem"',
    },
  });
}
