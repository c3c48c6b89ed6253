#include "base/nft.h"

#include <nftables/libnftables.h>
#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"

static void nft_cleanup(struct nft_ctx **ctx)
{
	if (*ctx)
		nft_ctx_free(*ctx);
}
#define auto_nft __attribute__((cleanup(nft_cleanup)))

/* A context that prints into buffers and has no folder for "include". */
static struct nft_ctx *context_new(struct err *e)
{
	auto_nft struct nft_ctx *ctx = nft_ctx_new(NFT_CTX_DEFAULT);

	if (!ctx || nft_ctx_buffer_output(ctx) || nft_ctx_buffer_error(ctx)) {
		err_set(e, ERR_NOMEM, "libnftables");
		return NULL;
	}
	nft_ctx_clear_include_paths(ctx);
	return take_ptr(ctx);
}

int nft_check(const char *commands, struct err *e)
{
	auto_nft struct nft_ctx *ctx = context_new(e);
	const char *said; /* which a second call does not give again */
	char why[300];

	if (!ctx)
		return -1;
	nft_ctx_set_dry_run(ctx, true);
	if (!nft_run_cmd_from_buffer(ctx, commands))
		return 0;
	said = nft_ctx_get_error_buffer(ctx);
	if (!said || !strstr(said, "syntax error"))
		return 0;
	err_first_lines(said, why, sizeof(why));
	return err_set(e, ERR_FORMAT, "nftables: %s", why);
}

struct nft_ctx *nft_hold(const char *commands, struct err *e)
{
	auto_nft struct nft_ctx *ctx = context_new(e);
	char why[300];

	if (!ctx)
		return NULL;
	if (nft_run_cmd_from_buffer(ctx, commands)) {
		err_first_lines(nft_ctx_get_error_buffer(ctx), why, sizeof(why));
		err_set(e, ERR_KERNEL, "nftables: %s", why);
		return NULL;
	}
	return take_ptr(ctx);
}

void nft_release(struct nft_ctx *held)
{
	nft_cleanup(&held);
}

int nft_run(const char *commands, struct buf *out, struct err *e)
{
	auto_nft struct nft_ctx *ctx = nft_hold(commands, e);
	const char *text = ctx && out ? nft_ctx_get_output_buffer(ctx) : NULL;

	if (!ctx)
		return -1;
	return text ? buf_add_str(out, text, e) : 0;
}
