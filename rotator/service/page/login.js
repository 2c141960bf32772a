// Showing the token once. It goes to the service and is kept by nothing here.

const form = document.getElementById("login");
const [token, said] = [document.getElementById("token"), document.getElementById("said")];

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  said.textContent = await logIn(token.value);
  token.value = "";
  token.focus();
});

async function logIn(value) {
  try {
    const headers = { "Content-Type": "application/json" };
    const answer = await fetch("api/v1/login", { method: "POST", headers, body: JSON.stringify({ token: value }) });
    if (answer.status === 401) return "This is not the token.";
    if (!answer.ok) return `The service refuses: ${(await answer.text()).trim()}`;
    const session = await fetch("api/v1/session", { cache: "no-store" });
    if (!session.ok) return "This browser keeps no cookie of this page: it wants https, or localhost.";
    location.assign("./");
    return "";
  } catch {
    return "The service does not answer.";
  }
}

token.focus();
