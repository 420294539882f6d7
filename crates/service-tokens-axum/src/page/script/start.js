// The browser may keep this page in its back/forward cache, which must not contain a token.
window.addEventListener('pagehide', () => signOut());

showSignIn();
