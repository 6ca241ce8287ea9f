import { z } from "zod";

export const PASSWORD_MIN_CHARS = 10;
/** Argon2 takes any length; this bounds what one request may make it chew. */
export const PASSWORD_MAX_CHARS = 512;

const email = z.string().trim().toLowerCase().max(254).pipe(z.email());

export const signInInput = z.object({
  email,
  password: z.string().min(1).max(PASSWORD_MAX_CHARS),
});

export const signUpInput = z.object({
  name: z.string().trim().min(1).max(80),
  email,
  password: z.string().min(PASSWORD_MIN_CHARS).max(PASSWORD_MAX_CHARS),
});
