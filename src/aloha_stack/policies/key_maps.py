"""What the parameters of published ACT code are called here.

Left: the beginning of a name in their files (after "model."), right: in `policies/act.py`. The
longest left side that fits counts; what follows it is kept, for layers and ResNet18 have the same
names everywhere. `None`: not needed, because it is a constant that is computed here, or trained by
no loss.

| here | tonyzhaozh/act | LeRobot |
|---|---|---|
| backbone | backbones.0.0.body | backbone |
| image_projection, (D, C) for their (D, C, 1, 1) | input_proj | encoder_img_feat_input_proj |
| latent_projection | latent_out_proj | encoder_latent_input_proj |
| state_projection | input_proj_robot_state | encoder_robot_state_input_proj |
| token_positions: latent, state | additional_pos_embed | encoder_1d_feature_pos_embed |
| encoder, decoder | transformer.encoder, .decoder | encoder, decoder |
| queries | query_embed | decoder_pos_embed |
| action_head | action_head | action_head |
| latent_encoder.encoder | encoder | vae_encoder |
| latent_encoder.class_token | cls_embed | vae_encoder_cls_embed |
| latent_encoder.state_projection | encoder_joint_proj | vae_encoder_robot_state_input_proj |
| latent_encoder.action_projection | encoder_action_proj | vae_encoder_action_input_proj |
| latent_encoder.head | latent_proj | vae_encoder_latent_output_proj |
"""

from collections.abc import Mapping

from torch import Tensor

from aloha_stack.policies.policy import PolicyError

PREFIX = "model."

ORIGINAL: dict[str, str | None] = {
    "backbones.0.0.body.": "backbone.",
    "input_proj.": "image_projection.",
    "latent_out_proj.": "latent_projection.",
    "input_proj_robot_state.": "state_projection.",
    "additional_pos_embed.weight": "token_positions",
    "transformer.encoder.": "encoder.",
    "transformer.decoder.": "decoder.",
    "query_embed.weight": "queries",
    "action_head.": "action_head.",
    "encoder.": "latent_encoder.encoder.",
    "cls_embed.weight": "latent_encoder.class_token",
    "encoder_joint_proj.": "latent_encoder.state_projection.",
    "encoder_action_proj.": "latent_encoder.action_projection.",
    "latent_proj.": "latent_encoder.head.",
    "pos_table": None,
    "is_pad_head.": None,
}
"""Of tonyzhaozh/act, detr/models/detr_vae.py."""

LEROBOT: dict[str, str | None] = {
    "backbone.": "backbone.",
    "encoder_img_feat_input_proj.": "image_projection.",
    "encoder_latent_input_proj.": "latent_projection.",
    "encoder_robot_state_input_proj.": "state_projection.",
    "encoder_1d_feature_pos_embed.weight": "token_positions",
    "encoder.": "encoder.",
    "decoder.": "decoder.",
    "decoder_pos_embed.weight": "queries",
    "action_head.": "action_head.",
    "vae_encoder.": "latent_encoder.encoder.",
    "vae_encoder_cls_embed.weight": "latent_encoder.class_token",
    "vae_encoder_robot_state_input_proj.": "latent_encoder.state_projection.",
    "vae_encoder_action_input_proj.": "latent_encoder.action_projection.",
    "vae_encoder_latent_output_proj.": "latent_encoder.head.",
    "vae_encoder_pos_enc": None,
}
"""Of LeRobot 0.4.4, policies/act/modeling_act.py."""

_UNUSED_ENDINGS = (".num_batches_tracked",)


def renamed(weights: Mapping[str, Tensor], key_map: Mapping[str, str | None]) -> dict[str, Tensor]:
    """The weights under our names. Raises PolicyError, which lists names that the map lacks."""
    result: dict[str, Tensor] = {}
    unknown = []
    for name, value in weights.items():
        theirs = name.removeprefix(PREFIX)
        start = max((key for key in key_map if theirs.startswith(key)), key=len, default=None)
        if start is None:
            unknown.append(name)
            continue
        ours = key_map[start]
        if ours is not None and not theirs.endswith(_UNUSED_ENDINGS):
            own = ours + theirs[len(start) :]
            is_convolution = own == "image_projection.weight" and value.dim() == 4
            result[own] = value.flatten(1) if is_convolution else value
    if unknown:
        more = f" and {len(unknown) - 4} more" if len(unknown) > 4 else ""
        raise PolicyError(f"these weights are none of ACT's: {', '.join(unknown[:4])}{more}")
    return result


def layers(weights: Mapping[str, Tensor], stack: str) -> int:
    """How many layers `stack` (our name: encoder, decoder, latent_encoder.encoder) has."""
    start = f"{stack}.layers."
    numbers = {name[len(start) :].split(".")[0] for name in weights if name.startswith(start)}
    return len(numbers)
