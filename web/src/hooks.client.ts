// What the page throws goes to the console, where tests and people look; an address without a page is no fault of the page's.
import type { HandleClientError } from '@sveltejs/kit';

export const handleError: HandleClientError = ({ error, status, message }) => {
	if (status !== 404) console.error(error);
	return { message };
};
