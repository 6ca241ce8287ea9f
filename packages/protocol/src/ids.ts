import * as z from "zod";

/** Lower-case UUID. Safe as a file name by construction. */
export const uuid = z.string().regex(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/);

/** Host label and guest hostname of a workspace. */
export const workspaceSlug = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9-]{1,46}[a-z0-9])$/)
  .refine((slug) => !slug.includes("--"));

/** Ports that previews serve. Below 1024 a guest program needs root; the agent's own are refused by it. */
export const previewPort = z.number().int().min(1024).max(65_535);

/** `<port>-<slug>` as the first label of a preview host. */
export const previewHostLabel = z
  .string()
  .max(63)
  .regex(/^[1-9][0-9]{3,4}-[a-z0-9-]+$/)
  .transform((label, context) => {
    const dash = label.indexOf("-");
    const port = previewPort.safeParse(Number(label.slice(0, dash)));
    const slug = workspaceSlug.safeParse(label.slice(dash + 1));
    if (port.success && slug.success) return { port: port.data, slug: slug.data };
    context.addIssue("not a preview host");
    return z.NEVER;
  });
