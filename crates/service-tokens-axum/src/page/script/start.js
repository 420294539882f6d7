// A page that the browser keeps for going back must keep no token.
window.addEventListener('pagehide', () => signOut());

showSignIn();
