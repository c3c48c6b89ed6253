#include "base/nft.h"

#include <nftables/libnftables.h>
#include <stddef.h>

#include "base/cleanup.h"

static void nft_cleanup(struct nft_ctx **ctx)
{
	if (*ctx)
		nft_ctx_free(*ctx);
}
#define auto_nft __attribute__((cleanup(nft_cleanup)))

struct nft_ctx *nft_hold(const char *commands, struct err *e)
{
	auto_nft struct nft_ctx *ctx = nft_ctx_new(NFT_CTX_DEFAULT);
	char why[300];

	if (!ctx || nft_ctx_buffer_output(ctx) || nft_ctx_buffer_error(ctx)) {
		err_set(e, ERR_NOMEM, "libnftables");
		return NULL;
	}
	nft_ctx_clear_include_paths(ctx);
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
