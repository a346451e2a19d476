// The site is one page of script: it is built without a server, and no picture can be rendered before there is a browser.
export const ssr = false;
export const prerender = false;
