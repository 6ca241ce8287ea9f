"use client";
/** When even the layout failed: no styles can be counted on. */
export default function GlobalError() {
  return (
    <html lang="en">
      <body
        style={{ font: "16px/1.5 system-ui", maxWidth: "28rem", margin: "20vh auto", padding: "0 1.5rem" }}
      >
        <h1>Something went wrong on our side.</h1>
        <p>Reload the page; if it stays, send us the code and the time.</p>
        <code>internal</code>
      </body>
    </html>
  );
}
