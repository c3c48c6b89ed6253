/* What container engines put beside the image, in an archive or in the folder that it was unpacked to: facts of the
 * container, and texts that the engine reads again. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "imgdb/import_int.h"

struct engine_fact {
	const char *file, *path, *key; /* path: members, '|' between them */
};

/* Podman and CRI-O write config.dump and spec.dump into the archive (checkpointctl(1) shows some of it);
 * annotations are CRI-O's and containerd's. */
static const struct engine_fact engine_facts[] = {
	{"config.dump", "id", "container.id"},
	{"config.dump", "name", "container.name"},
	{"config.dump", "rootfsImageName", "container.image"},
	{"config.dump", "rootfsImageID", "container.image_id"},
	{"config.dump", "rootfsImageRef", "container.image_ref"},
	{"config.dump", "runtime", "container.runtime"},
	{"config.dump", "createdTime", "container.created"},
	{"config.dump", "checkpointedTime", "container.checkpointed"},
	{"config.dump", "command", "container.command"},
	{"config.dump", "CreateCommand", "container.create_command"},
	{"config.dump", "portMappings", "container.ports"},
	{"config.dump", "newPortMappings", "container.ports"},
	{"config.dump", "networks", "container.networks"},
	{"config.dump", "newNetworks", "container.networks"},
	{"spec.dump", "hostname", "container.hostname"},
	{"spec.dump", "process|args", "container.args"},
	{"spec.dump", "root|path", "container.root"},
	{"spec.dump", "linux|cgroupsPath", "container.cgroup"},
	{"spec.dump", "linux|namespaces", "container.namespaces"},
	{"spec.dump", "linux|sysctl", "container.sysctl"},
	{"spec.dump", "annotations|io.container.manager", "container.engine"},
	{"spec.dump", "annotations|io.kubernetes.container.name", "kubernetes.container"},
	{"spec.dump", "annotations|io.kubernetes.pod.name", "kubernetes.pod"},
	{"spec.dump", "annotations|io.kubernetes.pod.namespace", "kubernetes.namespace"},
	{"spec.dump", "annotations|io.kubernetes.pod.uid", "kubernetes.pod_uid"},
	{"spec.dump", "annotations|io.kubernetes.cri-o.ContainerName", "kubernetes.container_name"},
	{"spec.dump", "annotations|io.kubernetes.cri-o.ImageName", "container.image"},
	{"spec.dump", "annotations|io.kubernetes.cri-o.IP.0", "network.address"},
	{"spec.dump", "annotations|io.kubernetes.cri-o.IP.1", "network.address"},
	{"spec.dump", "annotations|io.kubernetes.cri.container-name", "kubernetes.container"},
	{"spec.dump", "annotations|io.kubernetes.cri.sandbox-name", "kubernetes.pod"},
	{"spec.dump", "annotations|io.kubernetes.cri.sandbox-namespace", "kubernetes.namespace"},
	{"spec.dump", "annotations|io.kubernetes.cri.image-name", "container.image"},
};
static const char network_status[] = "network.status";

bool import_is_engine_file(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(engine_facts); i++)
		if (!strcmp(engine_facts[i].file, name))
			return true;
	return !strcmp(name, network_status);
}

/* A text as it is, anything else as JSON; null and what is empty is no fact. */
static int add_fact(struct import *im, const char *key, const struct json *v, struct err *e)
{
	auto_buf struct buf text = {0};
	const char *str = json_str(v);
	enum json_kind kind = json_kind(v);

	if (kind == JSON_KIND_NULL ||
	    (!json_len(v) && (kind == JSON_KIND_STR || kind >= JSON_KIND_ARRAY)))
		return 0;
	if (str)
		return import_fact(im, key, (struct span){(const uint8_t *)str, json_len(v)}, e);
	return json_print(v, false, &text, e) ? -1 : import_fact(im, key, buf_span(&text), e);
}

static const struct json *json_walk(const struct json *j, const char *path)
{
	char part[100];

	while (j && *path) {
		size_t n = strcspn(path, "|");

		snprintf(part, sizeof(part), "%.*s", (int)n, path);
		j = json_get(j, part);
		path += n + (path[n] == '|');
	}
	return j;
}

static int add_interface_fact(struct import *im, const char *network, const char *device,
			      const char *what, const struct json *v, struct err *e)
{
	auto_buf struct buf key = {0};

	return buf_printf(&key, e, "network.%s.%s.%s", network, device, what) ||
	       add_fact(im, (const char *)key.data, v, e);
}

/* {"NETWORK": {"interfaces": {"eth0": {"mac_address", "subnets": [{"ipnet", "gateway"}]}}}}: netavark's
 * status block, as podman since 4.0 writes it. */
static int netavark_facts(struct import *im, const struct json *status, struct err *e)
{
	const struct json *net, *dev;
	const char *net_name, *dev_name;
	void *i = NULL;

	while (json_next(status, &i, &net_name, &net)) {
		void *k = NULL;

		while (json_next(json_get(net, "interfaces"), &k, &dev_name, &dev)) {
			const struct json *subnets = json_get(dev, "subnets");

			if (add_interface_fact(im, net_name, dev_name, "mac",
					       json_get(dev, "mac_address"), e))
				return -1;
			for (size_t s = 0; s < json_len(subnets); s++)
				if (add_interface_fact(im, net_name, dev_name, "address",
						       json_get(json_at(subnets, s), "ipnet"), e) ||
				    add_interface_fact(im, net_name, dev_name, "gateway",
						       json_get(json_at(subnets, s), "gateway"), e))
					return -1;
		}
	}
	return 0;
}

/* [{"interfaces": [{"name", "mac", "sandbox"}], "ips": [{"interface": 2, "address", "gateway"}]}]: a CNI
 * result (CNI specification, "Success"), as podman 3 wrote it. Interfaces without a sandbox are the host's. */
static int cni_facts(struct import *im, const struct json *status, struct err *e)
{
	char network[32];

	for (size_t i = 0; i < json_len(status); i++) {
		const struct json *interfaces = json_get(json_at(status, i), "interfaces");
		const struct json *ips = json_get(json_at(status, i), "ips");

		snprintf(network, sizeof(network), "%zu", i);
		for (size_t k = 0; k < json_len(interfaces); k++) {
			const struct json *d = json_at(interfaces, k);
			const char *name = json_str(json_get(d, "name"));

			if (json_len(json_get(d, "sandbox")) &&
			    add_interface_fact(im, network, name ? name : "?", "mac",
					       json_get(d, "mac"), e))
				return -1;
		}
		for (size_t k = 0; k < json_len(ips); k++) {
			const struct json *ip = json_at(ips, k);
			struct err none = ERR_INIT;
			uint64_t at = UINT64_MAX;
			const char *name = NULL;

			if (!json_to_uint(json_get(ip, "interface"), &at, "interface", &none))
				name = json_str(json_get(json_at(interfaces, at), "name"));
			if (add_interface_fact(im, network, name ? name : "?", "address",
					       json_get(ip, "address"), e) ||
			    add_interface_fact(im, network, name ? name : "?", "gateway",
					       json_get(ip, "gateway"), e))
				return -1;
		}
	}
	return 0;
}

static int add_engine_file(struct import *im, const char *name, struct span text, struct err *e)
{
	struct sql_table *t = &im->table[T_ENGINE_FILE];
	auto_buf struct buf own = {0};
	struct sql_row row = {.text = &own};

	sql_row_clear(&row, t);
	import_origin(im, T_ENGINE_FILE, &row, NULL);
	sql_set_lent(&row, sql_column_find(t, "content"), QUERY_TEXT, text);
	return import_set_str(&row, t, "name", name, e) || import_insert(im, T_ENGINE_FILE, &row, e)
		       ? -1
		       : 0;
}

int import_engine_file(struct import *im, struct import_file *f, struct span all, struct err *e)
{
	auto_json struct json *j = NULL;

	if (!import_is_engine_file(f->name))
		return 0;
	j = json_parse(all.data ? (const char *)all.data : "", all.len, e);
	if (!j) {
		err_wrap(e, "%s: %s", im->source, f->name);
		return import_salvage(im, f, NULL, 0, e);
	}
	im->cur = f;
	if (add_engine_file(im, f->name, all, e))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(engine_facts); i++)
		if (!strcmp(engine_facts[i].file, f->name) &&
		    add_fact(im, engine_facts[i].key, json_walk(j, engine_facts[i].path), e))
			return -1;
	if (!strcmp(f->name, network_status) &&
	    (json_kind(j) == JSON_KIND_ARRAY ? cni_facts(im, j, e) : netavark_facts(im, j, e)))
		return -1;
	im->cur = NULL;
	return 0;
}
