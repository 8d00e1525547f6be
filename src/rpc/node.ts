/** The Node service: what an agent serves to programs on its own machine. */
import { keelson } from '#generated/rpc/node.js';
import { methodsOf } from './method.js';

const v1 = keelson.v1;
const method = methodsOf('keelson.v1.Node');

export type ListImagesRequest = keelson.v1.ListImagesRequest.$Properties;
export type ImageList = keelson.v1.ImageList.$Properties;
export type ImageInfo = keelson.v1.ImageInfo.$Properties;
export type PullImageRequest = keelson.v1.PullImageRequest.$Properties;
export type PushImageRequest = keelson.v1.PushImageRequest.$Properties;
export type PushProgress = keelson.v1.PushProgress.$Properties;
export type PullProgress = keelson.v1.PullProgress.$Properties;
export type ImportImageRequest = keelson.v1.ImportImageRequest.$Properties;
export type RemoveImageRequest = keelson.v1.RemoveImageRequest.$Properties;
export type RemoveImageReply = keelson.v1.RemoveImageReply.$Properties;
export type TagImageRequest = keelson.v1.TagImageRequest.$Properties;
export type InspectImageRequest = keelson.v1.InspectImageRequest.$Properties;
export type InspectImageReply = keelson.v1.InspectImageReply.$Properties;
export type SaveImagesRequest = keelson.v1.SaveImagesRequest.$Properties;
export type SaveImagesReply = keelson.v1.SaveImagesReply.$Properties;
export type PruneImagesRequest = keelson.v1.PruneImagesRequest.$Properties;
export type PruneImagesReply = keelson.v1.PruneImagesReply.$Properties;
export type BuildImageRequest = keelson.v1.BuildImageRequest.$Properties;
export type BuildProgress = keelson.v1.BuildProgress.$Properties;

export const nodeService = {
  listImages: method<ListImagesRequest, ImageList>('ListImages', v1.ListImagesRequest, v1.ImageList),
  pushImage: method<PushImageRequest, PushProgress>('PushImage', v1.PushImageRequest, v1.PushProgress, {
    down: true,
  }),
  pullImage: method<PullImageRequest, PullProgress>('PullImage', v1.PullImageRequest, v1.PullProgress, {
    down: true,
  }),
  importImage: method<ImportImageRequest, ImageList>('ImportImage', v1.ImportImageRequest, v1.ImageList),
  removeImage: method<RemoveImageRequest, RemoveImageReply>(
    'RemoveImage',
    v1.RemoveImageRequest,
    v1.RemoveImageReply,
  ),
  tagImage: method<TagImageRequest, ImageList>('TagImage', v1.TagImageRequest, v1.ImageList),
  inspectImage: method<InspectImageRequest, InspectImageReply>(
    'InspectImage',
    v1.InspectImageRequest,
    v1.InspectImageReply,
  ),
  saveImages: method<SaveImagesRequest, SaveImagesReply>(
    'SaveImages',
    v1.SaveImagesRequest,
    v1.SaveImagesReply,
  ),
  pruneImages: method<PruneImagesRequest, PruneImagesReply>(
    'PruneImages',
    v1.PruneImagesRequest,
    v1.PruneImagesReply,
  ),
  buildImage: method<BuildImageRequest, BuildProgress>('BuildImage', v1.BuildImageRequest, v1.BuildProgress, {
    down: true,
  }),
};
